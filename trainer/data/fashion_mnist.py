"""Fashion-MNIST: 60,000 + 10,000 pictures of clothes, 28x28 grey."""

from pathlib import Path

from lamella.trainer.data.files import FileSet
from lamella.trainer.data.idx import load_idx
from lamella.trainer.data.splits import Splits

FASHION_MNIST = FileSet(
    name="fashion_mnist",
    sha256={
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    remedy="on Debian or Ubuntu: apt-get install dataset-fashion-mnist; or give the folder of its four IDX files with --data",
    folders=(Path("/usr/share/datasets/fashion-mnist"),),
)


def load(folder: Path | None) -> Splits:
    """Images in 0..1 and labels."""
    return load_idx(FASHION_MNIST, folder)
