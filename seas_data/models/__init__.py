"""Text generation behind one protocol: in this process with transformers, or by a server over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.models.protocol import Generator
from seas_data.recipe import ModelHttp, ModelInProcess

__all__ = ["Generator", "compute_model_digest", "open_model"]


def compute_model_digest(name: str, settings: ModelInProcess | ModelHttp) -> str:
    """Return the digest that ``open_model`` would report for ``settings``, without loading or serving the model."""
    from seas_data.models.checkpoint import compute_digest
    from seas_data.models.http_backend import HttpBackend
    from seas_data.models.model_folder import resolve_folder

    if isinstance(settings, ModelHttp) and settings.serve is None:
        return HttpBackend(name, settings, str(settings.url)).digest
    return compute_digest(resolve_folder(settings.model, settings.revision))


@contextmanager
def open_model(
    name: str,
    settings: ModelInProcess | ModelHttp,
    folder: Path,
    *,
    checkpoint: Path | None = None,
) -> Iterator[Generator]:
    """Load or serve a model, yield it ready to generate, and release it when the block ends.

    Args:
        name: the model's name in the tables.
        settings: the model's section of the recipe.
        folder: where the log of a ``serve`` command is written.
        checkpoint: a checkpoint trained by the loop, used in place of the model that ``settings`` name.

    Raises SeasDataError if the model does not exist or its server does not start.
    """
    if checkpoint is not None:
        settings = settings.model_copy(update={"model": str(checkpoint.absolute()), "revision": None})
    if isinstance(settings, ModelInProcess):
        from seas_data.models.transformers_backend import open_backend

        with open_backend(name, settings) as backend:
            yield backend
        return
    from seas_data.models.bundled import BUNDLED
    from seas_data.models.checkpoint import compute_digest
    from seas_data.models.http_backend import HttpBackend
    from seas_data.models.model_folder import resolve_folder
    from seas_data.models.serve import run_server

    if (command := settings.serve) is None:
        if checkpoint is not None:
            raise SeasDataError(
                f"{name} was trained by the loop, and the server at {settings.url} has another model; replace url with "
                "serve, the command that serves a checkpoint"
            )
        yield HttpBackend(name, settings, str(settings.url))
        return
    model_folder = resolve_folder(settings.model, settings.revision)
    digest = compute_digest(model_folder)
    if settings.revision is not None or settings.model in BUNDLED:  # the name alone would serve the newest, or nothing
        settings = settings.model_copy(update={"model": str(model_folder)})
    with run_server(command, settings.model, folder, max_wait_seconds=settings.max_wait_seconds) as server:
        yield HttpBackend(name, settings, server.url, checkpoint_digest=digest, check_alive=server.check_alive)
