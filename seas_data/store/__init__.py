"""The store: workspace, versions, stages, and atomic files."""

from seas_data.store.workspace import Manifest, Shard, Withheld, Workspace, open_workspace

__all__ = ["Manifest", "Shard", "Withheld", "Workspace", "open_workspace"]
