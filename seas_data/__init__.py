"""seas-data: build and version adversarial and ambiguous-harmless safety datasets."""
