"""Text generation behind one protocol: in this process with transformers, or from a server over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.models.protocol import Generator
from seas_data.recipe import ModelHttp, ModelInProcess

__all__ = ["Generator", "digest_of", "opened"]


def digest_of(name: str, settings: ModelInProcess | ModelHttp) -> str:
    """Return the digest of the model that ``settings`` describe, as ``opened`` would, without loading or serving it."""
    from seas_data.models import checkpoint as checkpoints
    from seas_data.models.http import OverHttp

    if isinstance(settings, ModelHttp) and settings.serve is None:
        return OverHttp(name, settings, str(settings.url)).digest
    return checkpoints.digest(checkpoints.place(settings.model, settings.revision))


@contextmanager
def opened(
    name: str,
    settings: ModelInProcess | ModelHttp,
    folder: Path,
    *,
    checkpoint: Path | None = None,
) -> Iterator[Generator]:
    """Yield the model that ``settings`` describe, ready to answer, and free what it takes when the block ends.

    ``name`` is what rows call it; ``checkpoint`` takes the place of the settings' model (a model that the loop has
    trained). A serve command is started and stopped here, and writes its log to ``folder``. Raises SeasDataError if
    there is no such model or its server does not start.
    """
    if checkpoint is not None:
        settings = settings.model_copy(update={"model": str(checkpoint.absolute()), "revision": None})
    if isinstance(settings, ModelInProcess):
        from seas_data.models.in_process import in_process

        with in_process(name, settings) as generator:
            yield generator
        return
    from seas_data.models import checkpoint as checkpoints
    from seas_data.models.http import OverHttp
    from seas_data.models.serve import serving

    if settings.serve is None:
        if checkpoint is not None:
            raise SeasDataError(
                f"{name} was trained here, and the server at {settings.url} has another model; give serve, the command "
                "that serves a checkpoint, in place of url"
            )
        yield OverHttp(name, settings, str(settings.url))
        return
    place = checkpoints.place(settings.model, settings.revision)
    digest = checkpoints.digest(place)
    if settings.revision is not None:  # given the name alone, the command would serve the newest
        settings = settings.model_copy(update={"model": str(place)})
    assert settings.serve is not None
    with serving(settings.serve, settings.model, folder, patience=settings.patience) as server:
        yield OverHttp(name, settings, server.url, checkpoint_digest=digest, alive=server.alive)
