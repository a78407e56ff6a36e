"""Layer-wise compressive training in PyTorch, and the ONNX file it ends in.

from lamella.trainer import compress
result = compress(model, train_data, validation_data, max_drop=1.0, sparsity=0.9)
result.export("model.onnx")
"""

__all__ = ["CompressOptions", "CompressResult", "compress"]


def __getattr__(name: str):
    """The public names, imported when asked for: recipes and options are read without loading torch."""
    if name == "CompressOptions":
        from lamella.trainer.options import CompressOptions

        return CompressOptions
    if name in __all__:
        from lamella.trainer import layerwise

        return getattr(layerwise, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
