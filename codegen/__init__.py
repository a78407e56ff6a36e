"""From an ONNX file to C.

    import_onnx.read(path) -> Graph
    passes.lower(graph, target) -> Graph      every node has a kernel
    plan.plan_memory(graph) -> MemoryPlan
    emit.emit(graph, plan, ...) -> {file name: text}

Each step takes a value and returns a value. Operators are found in `codegen/operators/`, one file each.
"""
