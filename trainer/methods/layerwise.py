"""The project's own method; lamella.trainer.layerwise has it."""

from lamella.trainer.methods.method import Method

METHODS = (
    Method(
        name="layerwise",
        year=2019,
        paper="Grimaldi, Tenace, Calimera, Layer-Wise Compressive Training, Future Internet 11(1):7, 2019",
        reading="options of the recipe; a quarter of the epochs after pruning, the rest in equal parts after each collapse",
        rule=None,
    ),
)
