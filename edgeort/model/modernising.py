"""Models of opsets before the first that passes and kernels know, as the ONNX project's converter writes them anew."""

from __future__ import annotations

import logging

import onnx
import onnx.version_converter

from edgeort.model.sanity import OPSETS

log = logging.getLogger(__name__)


def modernised(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model in the first opset that is known, where it has an older one that can be converted; else as it is."""
    versions = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    if len(versions) != 1 or not 1 <= min(versions) < OPSETS[0]:
        return proto
    try:
        converted = onnx.version_converter.convert_version(proto, OPSETS[0])
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises whatever the operator at hand made it raise
        log.info("opset %d could not be converted: %s", min(versions), str(error).split("\n")[0])
        return proto
    log.info("converted from opset %d to %d", min(versions), OPSETS[0])
    return converted
