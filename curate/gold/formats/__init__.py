"""Forms that gold is exported to, and four of them read back.

Each module has ``export(documents, target, …) -> Loss``; what a form cannot carry is counted in
the :class:`curate.gold.formats.loss.Loss`, never dropped in silence.
"""
