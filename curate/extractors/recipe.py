"""How a model travels to the worker that will use it.

A model's object cannot be sent: it may hold gigabytes, locks or somebody's pickles.  What goes is a
reference, or a pipeline's folder by its path or its files, together with the digest of what the
sender means; a worker that ends up with anything else refuses to work.
"""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from curate.errors import ConfigurationError, DataError, DiskError
from curate.extractors.interface import Extractor, source_of
from curate.extractors.models import digest_of_folder
from curate.schema import LabelSchema


@dataclass(frozen=True)
class Recipe:
    """What a worker needs to make the extractor; plain values that can be pickled.

    ``name``, ``version`` and ``digest`` are what the extractor must turn out to be.  ``folder`` is
    where a pipeline lies, ``content`` the digest of its files; ``files`` are the files themselves,
    compressed, by their relative path, for a worker that does not see the folder.
    """

    reference: str
    schema: LabelSchema
    name: str
    version: str
    digest: str
    folder: str | None = None
    content: str = ""
    files: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, extractor: Extractor, reference: str | None, schema: LabelSchema) -> Recipe:
        """The recipe of an extractor that :func:`curate.extractors.registry.resolve` gave."""
        from curate.extractors.bootstrap import NAME, Bootstrap
        from curate.extractors.spacy import Pipeline

        source = source_of(extractor)
        folder, content = None, ""
        if isinstance(extractor, Pipeline):
            folder = str(extractor.folder.absolute())
            content = digest_of_folder(extractor.folder)
        elif isinstance(extractor, Bootstrap):
            reference = NAME
        elif reference is None:
            raise ConfigurationError(f"{extractor.name} needs a reference that workers can resolve")
        return cls(
            reference or "", schema, source.name, source.version, source.digest, folder, content
        )

    def packed(self) -> Recipe:
        """With the files of the pipeline in it.  Raises DiskError where one cannot be read."""
        if self.folder is None:
            return self
        root = Path(self.folder)
        try:
            files = tuple(
                (path.relative_to(root).as_posix(), zlib.compress(path.read_bytes(), 1))
                for path in sorted(root.rglob("*"))
                if path.is_file()
            )
        except OSError as error:
            raise DiskError(f"cannot be read: {error.strerror}", path=root) from None
        return replace(self, files=files)

    def is_here(self) -> bool:
        """Whether the pipeline's folder is on this machine, with the same files."""
        if self.folder is None:
            return True
        path = Path(self.folder)
        try:
            return path.is_dir() and digest_of_folder(path) == self.content
        except OSError:
            return False

    def load(self) -> Extractor:
        """The extractor, loaded and found to be the one that was meant.

        Raises ConfigurationError or DataError where it is not, or cannot be made here.
        """
        if self.folder is None:
            from curate.extractors.registry import resolve

            return self._checked(resolve(self.reference, schema=self.schema))
        if self.is_here():
            return self._pipeline(Path(self.folder))
        if not self.files:
            raise ConfigurationError(
                f"a worker does not see the files of {self.name} that it should use (or sees "
                "others); share the folder with it, or run the command again",
                path=self.folder,
            )
        with tempfile.TemporaryDirectory(prefix="curate-model-") as parent:
            folder = Path(parent) / Path(self.folder).name
            self._unpack(folder)
            return self._pipeline(folder)

    def _unpack(self, folder: Path) -> None:
        try:
            for name, content in self.files:
                parts = PurePosixPath(name).parts
                if not parts or ".." in parts or parts[0].startswith("/"):
                    raise DataError(f"a file of the model would lie outside its folder: {name!r}")
                path = folder.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(zlib.decompress(content))
        except OSError as error:
            raise DiskError(
                f"a worker cannot write the model down: {error.strerror}", path=folder
            ) from None
        if digest_of_folder(folder) != self.content:
            raise DataError(f"the files of {self.name} arrived damaged; run the command again")

    def _pipeline(self, folder: Path) -> Extractor:
        from curate.extractors.spacy import Pipeline

        pipeline = Pipeline(folder)
        self._checked(pipeline)
        # Now, since the folder may be a temporary one.
        assert pipeline.nlp is not None
        return pipeline

    def _checked(self, extractor: Extractor) -> Extractor:
        found = source_of(extractor)
        if (found.name, found.version, found.digest) != (self.name, self.version, self.digest):
            raise ConfigurationError(
                f"a worker has {found} of another digest ({found.digest[:12]}, not "
                f"{self.digest[:12]}) than {self.name} here; install the same curate, and the same "
                "version of the model, on every worker"
            )
        return extractor
