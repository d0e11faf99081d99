"""The data of the benchmarks' models is what the models take."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from benchmarks.models import MODELS, find, page
from edgeort.errors import InputError, ModelError

# The exports take half a minute; the benchmarks themselves check their outputs.
EXPORTED = {"efficientnet_lite0", "minilm"}


@pytest.mark.parametrize("name", sorted(set(MODELS) - EXPORTED))
def test_feeds_fit_the_inputs(name: str):
    try:
        model = find(name)
    except ModelError as error:
        pytest.skip(str(error))
    graph = onnx.load(model.path, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    assert list(model.feeds) == [value.name for value in inputs]
    for value, array in zip(inputs, model.feeds.values(), strict=True):
        tensor = value.type.tensor_type
        assert array.dtype == onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        declared = [dim.dim_value for dim in tensor.shape.dim]
        assert all(want in (0, -1, got) for want, got in zip(declared, array.shape, strict=True))


def test_data_is_the_same_every_time():
    first, second = find("digits").feeds["image"], find("digits").feeds["image"]
    assert first.tobytes() == second.tobytes()


def test_a_page_has_ink_and_paper():
    assert set(np.unique(page(np.random.default_rng(0), (1, 3, 16, 16)))) == {-1.0, 1.0}


def test_an_unknown_model_is_an_error_that_lists_them():
    with pytest.raises(InputError) as caught:
        find("resnet19")
    assert caught.value.hint is not None and "resnet18" in caught.value.hint
