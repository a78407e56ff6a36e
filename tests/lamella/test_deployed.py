"""metrics.json and footprint say the same bytes."""

import json

from lamella.deployed import with_deployed_bytes


def test_metrics_have_the_bytes_of_footprint(lamella, model_path):
    names = ("conv1", "conv2", "fc1", "fc2")
    metrics = with_deployed_bytes(
        {"accuracy": 0.5, "layers": [{"name": name, "order": 1} for name in names]}, model_path
    )
    for optimize, found in (("balanced", metrics), ("flash", metrics["smallest"])):
        text = lamella("footprint", model_path, "--board", "host", "--optimize", optimize, "--json", "-")[1]
        layers = {layer["name"]: layer for layer in json.loads(text)["layers"]}
        assert found["weight_bytes"] == sum(layer["weight_bytes"] for layer in layers.values())
        weights = sum(layer["weights"] for layer in layers.values())
        assert found["compression_vs_float32"] == 4 * weights / found["weight_bytes"]
        if "layers" in found:
            assert {x["name"]: x["bytes"] for x in found["layers"]} == {n: layers[n]["weight_bytes"] for n in names}
    assert metrics["accuracy"] == 0.5 and metrics["layers"][0]["order"] == 1
