"""`edgeort validate`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeort.cli.common import (
    Inputs,
    Json,
    On,
    Preprocess,
    command,
    print_json,
    print_table,
    read_inputs,
    read_recipe,
    stages,
)
from edgeort.cli.judging import (
    PANEL,
    THRESHOLD,
    Characters,
    Labels,
    MainOutput,
    MaxDrop,
    MinAgreement,
    MinSqnr,
    SampleCount,
    Task,
    Threshold,
    print_evaluation,
    refuse_without_data,
)
from edgeort.errors import DeviceError, InputError

if TYPE_CHECKING:
    from edgeort.bundle import Bundle
    from edgeort.devices import Device
    from edgeort.progress import Progress
    from edgeort.recipes.picture import Recipe
    from edgeort.validate import Comparison, Evaluation, Exam, Validation, Where
    from edgeort.validate.tensors import TensorNoise


@command
def validate(
    bundle: Annotated[
        Path, typer.Argument(help="A bundle, or with --data a quantised .onnx file.", metavar="BUNDLE|MODEL")
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="FILE", help="The ONNX model it was built from, to compare with ONNX Runtime."),
    ] = None,
    inputs: Inputs = None,
    on: On = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="PATH", help="Samples: a .npy, a .npz, a folder of them or of pictures."),
    ] = None,
    labels: Labels = None,
    task: Task = None,
    output: MainOutput = None,
    characters: Characters = None,
    samples: SampleCount = None,
    threshold: Threshold = THRESHOLD,
    all_on_device: Annotated[
        bool,
        typer.Option(
            "--all-on-device",
            help="Run every sample there, also where this machine gives the same bytes.",
            rich_help_panel=PANEL,
        ),
    ] = False,
    max_drop: MaxDrop = None,
    min_agreement: MinAgreement = None,
    min_sqnr: MinSqnr = None,
    layers: Annotated[
        bool,
        typer.Option("--layers", help="Show where the error enters, tensor by tensor.", rich_help_panel=PANEL),
    ] = False,
    quantized: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The bundle's QDQ model, for --layers; default: of --keep-stages.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    preprocess: Preprocess = None,
    as_json: Json = False,
) -> None:
    """Check a bundle: golden outputs bit for bit; with --model those of ONNX Runtime; with --data how good it is."""
    from edgeort import validate as validation
    from edgeort.bundle import looks_like_bundle, open_bundle
    from edgeort.devices import Device

    limits = validation.Limits(max_drop, min_agreement, min_sqnr)
    if data is None:
        about = {"labels": labels, "task": task, "output": output, "characters": characters, "samples": samples}
        about |= {"all_on_device": all_on_device, "layers": layers, "quantized": quantized, **asdict(limits)}
        refuse_without_data(threshold, preprocess=preprocess, **about)
    elif model is None:
        raise InputError("answers are judged by the float model's, and there is none", hint="add --model FLOAT.onnx")
    feeds, is_model = (
        read_inputs(inputs),
        data is not None and bundle.suffix == ".onnx" and not looks_like_bundle(bundle),
    )
    if model is not None:
        validation.sha256_of(model)  # what cannot be read is said before a device is at work
    with stages() as progress, ExitStack() as stack:
        opened = None if is_model else stack.enter_context(open_bundle(bundle))
        device = None if opened is None else _device(opened, on, data, stack)
        golden: Validation | str | None = device if isinstance(device, str) else None
        found, noise, where = None, None, validation.Where(on, None, all_on_device)
        if opened is not None and isinstance(device, Device):
            progress(f"checking on {device.name}")
            golden = validation.validate(opened, device, model=None if data else model, feeds=feeds)
            where = validation.Where(on, device, all_on_device, golden_passed=True)
        if data is not None and model is not None:
            exam = validation.Exam(data, labels, task, limits, output, characters, samples, threshold)
            found, noise = _judge(
                opened or bundle, model, exam, where, read_recipe(preprocess), layers, quantized, progress
            )
    if as_json:
        print_json({"bundle": str(bundle), **_as_json(golden, found, noise)})
    else:
        _print(bundle, golden, found, noise)
    if found is not None:
        validation.enforce(found, hint=f"edgeort validate {bundle} --data {data} --model {model} --layers shows where")


def _device(bundle: Bundle, on: str | None, data: Path | None, stack: ExitStack) -> Device | str:
    """Where the bundle runs; with --data, why it runs nowhere."""
    from edgeort.devices import open_device

    try:
        return stack.enter_context(open_device(on, bundle.manifest))
    except DeviceError as error:
        if data is None or on is not None:
            raise
        return str(error)


def _judge(
    judged: Bundle | Path,
    model: Path,
    exam: Exam,
    where: Where,
    recipe: Recipe | None,
    layers: bool,
    quantized: Path | None,
    progress: Progress,
) -> tuple[Evaluation, list[TensorNoise] | None]:
    from edgeort import validate as validation

    found = validation.assess(judged, model, exam, where=where, recipe=recipe, progress=progress)
    if not layers:
        return found, None
    samples, _ = validation.samples_of(judged, model, exam, recipe)
    return found, validation.noise_of(_qdq_of(judged, quantized), model, samples, progress)


def _qdq_of(judged: Bundle | Path, quantized: Path | None) -> Path:
    """The QDQ model: the one named, the file that is judged, or what --keep-stages left beside the bundle."""
    if quantized is not None or isinstance(judged, Path):
        return quantized or Path(str(judged))
    stages_of = judged.path.with_name(f"{judged.path.name}.stages")
    for file in sorted(stages_of.glob("*-quantize.onnx")):
        return file
    raise InputError(
        f"--layers needs the QDQ model, and {stages_of} has none",
        hint="edgeort build --precision int8 --keep-stages, or name it with --quantized FILE",
    )


def _as_json(
    golden: Validation | str | None, found: Evaluation | None, noise: Sequence[TensorNoise] | None
) -> dict[str, Any]:
    """`golden` is a digest; null where it was not checked, for the reason in `not_checked`, or of a model."""
    told: dict[str, Any]
    told = asdict(golden) if golden and not isinstance(golden, str) else {"golden": None, "not_checked": golden}
    told |= {} if found is None else {"evaluation": found.to_dict()}
    return told | ({} if noise is None else {"layers": [asdict(one) for one in noise]})


def _print(
    bundle: Path,
    golden: Validation | str | None,
    found: Evaluation | None,
    noise: Sequence[TensorNoise] | None,
) -> None:
    if golden is not None:
        print_table(str(bundle), _golden_rows(golden, found is not None))
    if found is not None:
        print_evaluation(
            found, "against the float model" if golden is not None else f"{bundle} against the float model"
        )
    if noise is not None:
        rows = [
            ("->" if n.is_marked else "", n.tensor, _maker(n), f"{n.sqnr_db:.1f} dB", _drop(n.drop_db)) for n in noise
        ]
        print_table("where the error enters (-> the largest drops)", rows, ("", "tensor", "made by", "SQNR", "drop"))


def _maker(noise: TensorNoise) -> str:
    return f"{noise.made_by}, channels evened out" if noise.is_evened else noise.made_by


def _drop(drop_db: float | None) -> str:
    return "" if drop_db is None else f"{drop_db:.1f}"


def _distance(found: Comparison) -> str:
    if found.sqnr_db is not None:
        return f"SQNR {found.sqnr_db:.1f} dB against ONNX Runtime on the same int8 model"
    if not found.max_difference:
        return f"equal to that of ONNX Runtime{found.gap}"
    return f"within {found.max_difference:.1e} of ONNX Runtime, relative to its range{found.gap}"


def _golden_rows(golden: Validation | str, has_data: bool) -> list[tuple[str, str]]:
    if isinstance(golden, str):
        return [("golden", f"not checked: {golden}")]
    near = golden.min_sqnr_db
    same = "bit-identical" if near is None else f"at least {near:g} dB from those of the build"
    rows = [("golden", f"{same} on {golden.device}, digest {golden.golden}")]
    rows += [(result.output, _distance(result)) for result in golden.comparisons]
    if not golden.comparisons and not has_data:
        rows.append(("reference", "not compared: --model MODEL.onnx compares with ONNX Runtime"))
    return rows
