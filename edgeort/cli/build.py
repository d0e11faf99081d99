"""`edgeort build`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from edgeort import config, sample
from edgeort.cli.common import (
    Inputs,
    Json,
    On,
    Shape,
    Threads,
    command,
    parse_size,
    print_json,
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
    refuse_without_data,
)
from edgeort.cli.providers import Provider, ProviderOptions, Require
from edgeort.cli.prune import read_ratio
from edgeort.cli.summary import print_result
from edgeort.errors import InputError

if TYPE_CHECKING:
    from edgeort.pipeline import Wish
    from edgeort.pipeline.accuracy import Precision
    from edgeort.recipes.picture import Recipe
    from edgeort.recipes.sound import Sound


@command
def build(
    context: typer.Context,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="A profile: edgeort profiles list.")],
    model: Annotated[
        Path | None,
        typer.Argument(help="The .onnx file; default: the one in ./edgeort.toml, else the packaged sample."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="PATH", help="Folder, or .zip; default: build/MODEL-DEVICE.")
    ] = None,
    shape: Shape = None,
    io_layout: Annotated[
        str, typer.Option("--io-layout", metavar="nchw|nhwc", help="Of rank-4 inputs and outputs.")
    ] = "nchw",
    inputs: Inputs = None,
    threads: Threads = None,
    ram_limit: Annotated[
        str | None, typer.Option("--ram-limit", metavar="SIZE", help="Memory for activations: 512K, 1.5M, or bytes.")
    ] = None,
    on: On = None,
    keep_stages: Annotated[
        bool, typer.Option("--keep-stages", help="Save the ONNX model after every stage beside the bundle.")
    ] = False,
    provider: Provider = "auto",
    require: Require = None,
    provider_option: ProviderOptions = None,
    vocab: Annotated[
        Path | None,
        typer.Option("--vocab", metavar="FILE", help="A WordPiece vocab.txt: the library gets a tokenizer."),
    ] = None,
    cased: Annotated[bool, typer.Option("--cased", help="The vocabulary tells capital letters from small.")] = False,
    postprocess: Annotated[
        str | None,
        typer.Option(
            "--postprocess", metavar="RECIPE", help="What becomes of the outputs: 'softmax; top-k 5 labels=FILE'."
        ),
    ] = None,
    signatures: Annotated[
        bool, typer.Option("--signatures", help="The library can refuse plans that a key did not sign: edgeort sign.")
    ] = False,
    embed_model: Annotated[
        bool, typer.Option("--embed-model", help="The library holds the model: edgeort_open_embedded needs no file.")
    ] = False,
    static: Annotated[bool, typer.Option("--static", help="A static library, too.")] = False,
    model_license: Annotated[
        str, typer.Option("--model-license", metavar="SPDX", help="Of the model, for licences/: MIT, CC-BY-4.0.")
    ] = "",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="PRECISION",
            help="float32; int8: needs --data; int4 or float16 weights.",
            rich_help_panel=PANEL,
        ),
    ] = "float32",
    prune: Annotated[
        str | None,
        typer.Option(
            "--prune",
            metavar="SHARE|auto",
            help="Share of the multiply-adds that goes, or auto: needs --data.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    sparsity: Annotated[
        str | None,
        typer.Option(
            "--sparsity",
            metavar="SHARE|N:M|auto",
            help="Share of the weights that go, N:M or auto: needs --data.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="PATH", help="Samples that calibrate int8; alone they judge, too.", rich_help_panel=PANEL
        ),
    ] = None,
    eval_data: Annotated[
        Path | None,
        typer.Option("--eval-data", metavar="PATH", help="Samples that judge the result.", rich_help_panel=PANEL),
    ] = None,
    labels: Labels = None,
    task: Task = None,
    output: MainOutput = None,
    characters: Characters = None,
    samples: SampleCount = None,
    threshold: Threshold = THRESHOLD,
    max_drop: MaxDrop = None,
    min_agreement: MinAgreement = None,
    min_sqnr: MinSqnr = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="A node that stays float; may be repeated.", rich_help_panel=PANEL),
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(
            "--preprocess",
            metavar="RECIPE",
            help="How pictures or sound become the input: imagenet, whisper, ..., or steps: docs/preprocessing.md.",
        ),
    ] = None,
    tensor_input: Annotated[
        bool, typer.Option("--tensor-input", help="--preprocess is for --data alone: the bundle still takes tensors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build a checked bundle from an ONNX model for a device."""
    from edgeort import device_profiles

    if cased and vocab is None:
        raise InputError("--cased says how to read a vocabulary", hint="--vocab vocab.txt --cased")
    if io_layout not in ("nchw", "nhwc"):
        raise InputError(f"--io-layout {io_layout}: it is nchw or nhwc", hint="--io-layout nhwc")
    if data is None and eval_data is None:
        refuse_without_data(threshold, output=output, characters=characters, samples=samples)
    found = config.read(Path.cwd()) if model is None else None
    steps = preprocess or (found.preprocess if found else None)
    if tensor_input and steps is None:
        raise InputError("--tensor-input is about a recipe, and there is none", hint="add --preprocess RECIPE")
    recipe, sound = _recipes(steps, tensor_input)
    path, said = choose_model(model, Path.cwd())
    profile = device_profiles.load(device)
    to = out or Path("build") / f"{path.stem}-{profile.name}"
    with stages() as progress:
        from edgeort import pipeline
        from edgeort.bundle import Vocabulary
        from edgeort.model import parse_shapes
        from edgeort.validate import Limits

        accuracy = pipeline.Accuracy(
            precision=cast("Precision", precision),
            data=data,
            eval_data=eval_data,
            labels=labels,
            task=task,
            limits=Limits(max_drop, min_agreement, min_sqnr),
            output=output,
            characters=characters,
            samples=samples,
            exclude=tuple(exclude or ()),
            recipe=recipe,
            prune=None if prune is None else read_ratio("--prune", prune) or "auto",
            sparsity=sparsity,
            threshold=threshold,
        )
        result = pipeline.build(
            path,
            profile,
            to,
            shapes=parse_shapes(shape or ()),
            io_layout="nhwc" if io_layout == "nhwc" else "nchw",
            threads=threads,
            ram_limit=None if ram_limit is None else parse_size("--ram-limit", ram_limit),
            accuracy=accuracy,
            inputs=read_inputs(inputs),
            wish=_wish(provider, require, provider_option or ()),
            preprocess=sound or (None if tensor_input else recipe),
            vocabulary=None if vocab is None else Vocabulary(vocab, cased),
            postprocess=postprocess or (found.postprocess if found else None),
            signatures=signatures,
            embed_model=embed_model,
            static=static,
            model_licence=_licence(model_license),
            keep_stages=keep_stages,
            on=on,
            progress=progress,
        )
    if as_json:
        print_json({**result.to_dict(), "model_path": str(path), "model_source": said})
    else:
        print_result(result, path, said, _typed(context, without="precision"))


def _typed(context: typer.Context, *, without: str) -> str:
    """The command line as it was given, less one option."""
    words = ["edgeort build"]
    for one in context.command.params:
        value = context.params.get(one.name or "")
        is_given = value is not None and value is not False and value != one.get_default(context)  # 0 may be
        if one.name == without or not is_given:
            continue
        option = one.opts[0] if one.opts[0].startswith("-") else ""
        for word in value if isinstance(value, list | tuple) else [value]:
            words += [*([option] if option else []), *([] if word is True else [shlex.quote(str(word))])]
    return " ".join(words)


def _licence(expression: str) -> str:
    """InputError where it is no SPDX expression by its characters."""
    if not re.fullmatch(r"[A-Za-z0-9.+:() -]*", expression):
        raise InputError(
            f"--model-license {expression!r}: this is no SPDX expression", hint="--model-license Apache-2.0"
        )
    return expression.strip()


def _wish(provider: str, required: str | None, options: Sequence[str]) -> Wish:
    """The options about providers. InputError where they contradict each other or are malformed."""
    from edgeort.pipeline import Wish

    if required is not None and provider not in ("auto", required):
        raise InputError(
            f"--provider {provider} and --require {required} are not the same", hint="leave --provider out"
        )
    pairs = [option.partition("=") for option in options]
    for option, (key, equals, _) in zip(options, pairs, strict=True):
        if not equals or not key.strip() or set(option) & set("\r\n#"):
            raise InputError(
                f"--provider-option {option!r}: this is not KEY=VALUE", hint="--provider-option NUM_STREAMS=1"
            )
    return Wish(required or provider, required is not None, {key.strip(): value.strip() for key, _, value in pairs})


def _recipes(text: str | None, tensor_input: bool) -> tuple[Recipe | None, Sound | None]:
    """What a recipe is, for pictures or for sound. InputError where it does not go with --tensor-input."""
    from edgeort.recipes.sound import is_sound, read_sound

    if text is None or not is_sound(text):
        return read_recipe(text), None
    if tensor_input:
        raise InputError("--tensor-input is for pictures, and the recipe is one for sound", hint="leave it out")
    return None, read_sound(text)


def choose_model(given: Path | None, folder: Path) -> tuple[Path, str]:
    """The model to build and where its name came from: the argument, `folder`/edgeort.toml, or the packaged sample."""
    if given is not None:
        return given, "argument"
    found = config.read(folder)
    if found is not None and found.model is not None:
        return found.model, config.NAME
    return sample.path(), "packaged sample"
