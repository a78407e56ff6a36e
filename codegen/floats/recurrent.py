"""RNN, GRU and LSTM that the rewrite `recurrent` has left as they were: why."""

from lamella.codegen.rewrites.recurrent import KINDS, why_not


def _refuse(reader, node) -> None:
    def shape(name: str) -> tuple[int, ...] | None:
        return reader.operand(node, 0).shape if name == node.input[0] else None

    why = why_not(node, reader.constants.get, shape)
    raise reader.unsupported(node, why or "its weights are computed; export with constant folding")


READERS = dict.fromkeys(KINDS, _refuse)
