"""curate as a machine learning backend of Label Studio, and the receiver of its webhooks.

What Label Studio asks over HTTP is parsed, bounded and counted here; models and the store are
reached through the :class:`~curate.labelstudio.backend.protocol.Service` that is handed in.
"""
