"""What is said of nodes that no kernel takes."""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir
import pytest

from edgeort.errors import UnsupportedError
from edgeort.lowering import lower, unsupported_nodes
from edgeort.model import clean
from edgeort.passes import PassContext, run_passes

HEAD = '<ir_version: 8, opset_import: ["" : 17, "odd" : 1]>\n'


def prepared(text: str) -> ir.Model:
    model = clean(ir.from_proto(onnx.parser.parse_model(HEAD + text)))
    run_passes(model, PassContext())
    return model


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("g (double[2] x) => (double[2] y) { y = Tan(x) }", "the runtime has no kernel for this operator on double"),
        ("g (float[2] x) => (float[2] y) { y = odd.Frob(x) }", "the runtime has no kernel for this operator"),
    ],
)
def test_lowering_and_the_report_refuse_the_same_nodes(text: str, words: str) -> None:
    model = prepared(text)
    assert [(node.name, reason) for node, reason in unsupported_nodes(model)] == [("y", words)]
    with pytest.raises(UnsupportedError, match=f"node 'y' .*: {words}$") as caught:
        lower(model)
    assert "edgeort inspect MODEL --device NAME" in str(caught.value.hint)


def test_a_convolution_of_an_unknown_rank_is_no_missing_kernel() -> None:
    text = """g (float[48] x, int64[n] s, float[2,3,3,3] w) => (float[A,B,C,D] y)
    { r = Reshape(x, s)  y = Conv(r, w) }"""
    with pytest.raises(UnsupportedError, match="the rank of its input is not known"):
        lower(prepared(text))


def test_products_of_other_types_are_told_how_they_could_run() -> None:
    with pytest.raises(UnsupportedError, match="only float32 convolutions have a kernel") as caught:
        lower(prepared("g (double[1,3,4,4] x, double[2,3,3,3] w) => (double[1,2,2,2] y) { y = Conv(x, w) }"))
    assert "compute it in float32" in str(caught.value.hint)


def test_half_precision_and_float32_are_not_refused() -> None:
    for dtype in ("float", "float16"):
        assert unsupported_nodes(prepared(f"g ({dtype}[2] x) => ({dtype}[2] y) {{ y = Sin(x) }}")) == []


def test_an_element_type_is_called_by_its_name() -> None:
    with pytest.raises(UnsupportedError, match="input 'x' has element type complex64"):
        lower(prepared("g (complex64[2] x) => (complex64[2] y) { y = Identity(x) }"))
