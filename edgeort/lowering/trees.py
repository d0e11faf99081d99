"""TreeEnsemble, and the operators that it took the place of, as one list of nodes (runtime/kernels/trees)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgeort.lowering.context import F32, Group, Lowering, attribute, choice, integer, integers, unsupported
from edgeort.lowering.params import PARAMS
from edgeort.lowering.typed import CODES, cast

# In the order of the standard's numbers for TreeEnsemble, which are the kernel's.
_TESTS = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
_EQUAL, _MEMBER = _TESTS.index("BRANCH_EQ"), _TESTS.index("BRANCH_MEMBER")
_MISSING = 16  # NaN goes where the test holds
_JOINS = ("AVERAGE", "SUM", "MIN", "MAX")


class Damaged(Exception):
    """The trees are none; the message says why."""


@dataclass
class Forest:
    """Nodes (int64 [n] each): feature, test, next where it holds and where not; -1 - k is leaf k.

    `splits` [n] is what nodes compare with; the votes of leaf k are `leaves[k]` up to `leaves[k + 1]` of targets and
    weights.
    """

    features: np.ndarray
    tests: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    splits: np.ndarray
    roots: np.ndarray
    leaves: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def sorted_forest(forest: Forest) -> Forest:
    """The same with children behind their parents, and the nodes of a tree together. Damaged: a cycle."""
    n, children = forest.yes.size, np.stack([forest.yes, forest.no], axis=1)
    if children.size and (children.max() >= n or -1 - children.min() >= forest.leaves.size - 1):
        raise Damaged("a node leads to one that is not there")
    waits, tree = np.bincount(children[children >= 0], minlength=n), np.arange(n)
    ready, order = np.flatnonzero(waits == 0), []
    while ready.size:
        order.append(ready)
        for side in (0, 1):
            inner = children[ready, side] >= 0
            tree[children[ready[inner], side]] = tree[ready[inner]]
        below = children[ready].reshape(-1)
        below = below[below >= 0]
        np.subtract.at(waits, below, 1)
        below = np.unique(below)
        ready = below[waits[below] == 0]
    levels = np.concatenate(order) if order else np.zeros(0, np.int64)
    if levels.size < n:
        raise Damaged("its nodes form a cycle")
    together = levels[np.argsort(tree[levels], kind="stable")]
    placed = _placed(forest, together)
    behind = np.arange(n)
    good = all(((side < 0) | (side > behind)).all() for side in (placed.yes, placed.no))
    return placed if good else _placed(forest, levels)


def _placed(forest: Forest, order: np.ndarray) -> Forest:
    place = np.empty(order.size + 1, np.int64)
    place[order] = np.arange(order.size)

    def moved(nodes: np.ndarray) -> np.ndarray:
        return np.where(nodes >= 0, place[np.maximum(nodes, -1)], nodes)

    return Forest(
        forest.features[order], forest.tests[order], moved(forest.yes[order]), moved(forest.no[order]),
        forest.splits[order], moved(forest.roots), forest.leaves, forest.targets, forest.weights,
    )  # fmt: skip


def _numbers(node: ir.Node, name: str) -> np.ndarray:
    """A list of floats, or the tensor of float64 that can stand for it."""
    tensor = attribute(node, f"{name}_as_tensor")
    if tensor is not None:
        return tensor.numpy().reshape(-1)  # type: ignore[attr-defined]
    return np.array(attribute(node, name) or (), np.float32)


def _ids(node: ir.Node, name: str, n: int | None = None) -> np.ndarray:
    found = np.array(integers(node, name) or [], np.int64)
    if n is not None and found.size != n:
        raise Damaged(f"its {name} are {found.size}, not {n}")
    return found


def legacy(node: ir.Node, votes: str) -> Forest:
    """TreeEnsembleRegressor (`votes` "target") or TreeEnsembleClassifier ("class"). Damaged: lists that do not fit."""
    trees, ids = _ids(node, "nodes_treeids"), _ids(node, "nodes_nodeids")
    n = trees.size
    modes = [str(mode) for mode in attribute(node, "nodes_modes") or ()]  # type: ignore[attr-defined]
    values = _numbers(node, "nodes_values")
    if len(modes) != n or ids.size != n or values.size != n or set(modes) - {*_TESTS[:_MEMBER], "LEAF"}:
        raise Damaged("its lists of nodes differ in length, or have unknown modes")
    keys = trees * (int(ids.max(initial=0)) + 1) + ids
    by_key = np.argsort(keys, kind="stable")
    if np.unique(keys).size < n or ids.min(initial=0) < 0 or trees.min(initial=0) < 0:
        raise Damaged("two nodes of a tree have one number")

    def places(tree: np.ndarray, node_ids: np.ndarray) -> np.ndarray:
        wanted = tree * (int(ids.max(initial=0)) + 1) + node_ids
        at = np.minimum(np.searchsorted(keys[by_key], wanted), max(n - 1, 0))
        if n == 0 or (node_ids < 0).any() or (keys[by_key[at]] != wanted).any() or (node_ids > ids.max()).any():
            raise Damaged("a node leads to one that is not there")
        return by_key[at]

    inner = np.array([mode != "LEAF" for mode in modes], bool)
    number = np.where(inner, np.cumsum(inner) - 1, -1 - (np.cumsum(~inner) - 1))  # of inner nodes, of leaves
    yes, no = (places(trees[inner], _ids(node, f"nodes_{side}nodeids", n)[inner]) for side in ("true", "false"))
    is_root = np.ones(n, bool)
    is_root[yes] = is_root[no] = False
    tests = np.array([_TESTS.index(mode) for mode in modes if mode != "LEAF"], np.int64)
    leaves, targets, weights = _votes(node, votes, places, number, int((~inner).sum()))
    return Forest(
        _ids(node, "nodes_featureids", n)[inner], tests | _missing(node, n)[inner], number[yes], number[no],
        values[inner], number[is_root], leaves, targets, weights,
    )  # fmt: skip


def _missing(node: ir.Node, n: int) -> np.ndarray:
    tracks = _ids(node, "nodes_missing_value_tracks_true")
    return np.where(tracks != 0, _MISSING, 0) if tracks.size == n else np.zeros(n, np.int64)


def _votes(node: ir.Node, votes: str, places, number: np.ndarray, n_leaves: int):  # type: ignore[no-untyped-def]
    """Where the votes of each leaf begin, and of each vote target and weight."""
    targets, weights = _ids(node, f"{votes}_ids"), _numbers(node, f"{votes}_weights")
    n = targets.size
    if weights.size != n:
        raise Damaged(f"it has {weights.size} weights for {n} votes")
    at = number[places(_ids(node, f"{votes}_treeids", n), _ids(node, f"{votes}_nodeids", n))] if n else np.zeros(0, int)
    if (at >= 0).any():
        raise Damaged("a node that is no leaf votes")
    leaf = -1 - at
    order = np.argsort(leaf, kind="stable")
    leaves = np.concatenate([[0], np.cumsum(np.bincount(leaf, minlength=n_leaves))])
    return leaves, targets[order], weights[order]


def modern(node: ir.Node) -> Forest:
    """TreeEnsemble. Damaged: lists that do not fit."""
    features = _ids(node, "nodes_featureids")
    n = features.size
    splits, tests = (attribute(node, f"nodes_{name}").numpy().reshape(-1) for name in ("splits", "modes"))  # type: ignore[attr-defined]
    targets, weights = _ids(node, "leaf_targetids"), attribute(node, "leaf_weights").numpy().reshape(-1)  # type: ignore[attr-defined]
    tests = tests.astype(np.int64)
    if splits.size != n or tests.size != n or weights.size != targets.size or tests.max(initial=0) > _MEMBER:
        raise Damaged("its lists of nodes or of leaves differ in length, or have unknown modes")
    yes, no = _side(node, "true", n), _side(node, "false", n)
    roots = _ids(node, "tree_roots")
    if ((roots < 0) | (roots >= n)).any():
        raise Damaged("a tree begins at a node that is not there")
    leaves = np.arange(targets.size + 1)
    forest = Forest(features, tests | _missing(node, n), yes, no, splits, roots, leaves, targets, weights)
    members = attribute(node, "membership_values")
    values = np.zeros(0) if members is None else members.numpy().reshape(-1)  # type: ignore[attr-defined]
    return _spelt_out(forest, values)


def _side(node: ir.Node, side: str, n: int) -> np.ndarray:
    """What nodes go on with: a node, or -1 - k for leaf k."""
    ids, leaf = _ids(node, f"nodes_{side}nodeids", n), _ids(node, f"nodes_{side}leafs", n)
    if ids.min(initial=0) < 0:
        raise Damaged("a node leads to one that is not there")
    return np.where(leaf != 0, -1 - ids, ids)


def _spelt_out(forest: Forest, values: np.ndarray) -> Forest:
    """Membership of a set becomes a chain of comparisons with its members; NaN ends a set in `values`."""
    where = np.flatnonzero(forest.tests & ~_MISSING == _MEMBER)
    ends = np.flatnonzero(np.isnan(values))
    if ends.size < where.size:
        raise Damaged(f"it has {ends.size} sets for {where.size} nodes that ask for membership")
    arrays = [list(a) for a in (forest.features, forest.tests, forest.yes, forest.no, forest.splits)]
    features, tests, yes, no, splits = arrays
    begin = 0
    for first, end in zip(where.tolist(), ends.tolist(), strict=False):
        members: Sequence[float] = values[begin:end].tolist() or [float("nan")]  # which nothing equals
        begin, at, otherwise = end + 1, first, no[first]
        tests[at], splits[at] = _EQUAL | tests[at] & _MISSING, members[0]
        for member in members[1:]:
            no[at] = len(tests)
            at = len(tests)
            for array, entry in zip(arrays, (features[first], _EQUAL, yes[first], otherwise, member), strict=True):
                array.append(entry)
    made = [np.array(a, np.int64) for a in arrays[:4]]
    return replace(
        forest, features=made[0], tests=made[1], yes=made[2], no=made[3], splits=np.array(splits, forest.splits.dtype)
    )


def _check_transform(node: ir.Node) -> None:
    """What follows the sum was written as operators (model/bodies/learning.py), where it could be."""
    if (transform := attribute(node, "post_transform", 0)) not in (0, "NONE"):
        raise unsupported(node, f"its post_transform {transform} has no kernel")


def _emit(ctx: Lowering, node: ir.Node, forest: Forest, targets: int, join: int, base: np.ndarray) -> None:
    forest = sorted_forest(forest)
    x, out = ctx.value(node.inputs[0]), node.outputs[0]
    wide = forest.splits.dtype == np.float64 or ctx.code(node.inputs[0]) == CODES["f64"]  # type: ignore[arg-type]
    code = CODES["f64"] if wide else F32
    if ctx.plan.tensors[x].dtype != code:
        x = cast(ctx, node, x, code)
    table = np.stack([forest.features, forest.tests, forest.yes, forest.no], axis=1)
    weights_code = CODES["f64"] if forest.weights.dtype == np.float64 else F32
    lists = {"roots": forest.roots, "leaves": forest.leaves, "targets": forest.targets}
    operands = [
        x,
        ctx.weights(f"{node.name}.nodes", table.astype(np.int32), CODES["i32"]),
        ctx.weights(f"{node.name}.splits", forest.splits.astype(np.float64 if wide else np.float32), code),
        *(ctx.weights(f"{node.name}.{name}", a.astype(np.int32), CODES["i32"]) for name, a in lists.items()),
        ctx.weights(f"{node.name}.weights", forest.weights, weights_code),
    ]
    if base.size:
        operands.append(ctx.weights(f"{node.name}.base", base.astype(forest.weights.dtype), weights_code))
    made = ctx.result(out) if weights_code == ctx.code(out) else ctx.plan.activation(f"{node.name}.sums", weights_code)
    params = PARAMS["ListParams"].pack(count=2, values=[targets, join])
    ctx.emit("TreeEnsemble", node, params, inputs=operands, outputs=[made])
    if weights_code != ctx.code(out):
        cast(ctx, node, made, ctx.code(out), ctx.result(out))


def _regressor(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """TreeEnsembleRegressor; TreeEnsembleClassifier became one."""
    _check_transform(node)
    try:
        forest, base = legacy(node, "target"), _numbers(node, "base_values")
        targets = integer(node, "n_targets", 1)
        if base.size not in (0, 1, targets):
            raise Damaged(f"it has {base.size} base values for {targets} targets")
        join = choice(node, "aggregate_function", _JOINS, "SUM")
        _emit(ctx, node, forest, targets, join, np.repeat(base, targets) if base.size == 1 else base)
    except Damaged as error:
        raise unsupported(node, str(error), "export the model again") from error


def _ensemble(ctx: Lowering, node: ir.Node, group: Group) -> None:
    """TreeEnsemble."""
    _check_transform(node)
    try:
        join = integer(node, "aggregate_function", 1)
        if not 0 <= join < len(_JOINS):
            raise Damaged(f"its aggregate_function is {join}")
        _emit(ctx, node, modern(node), integer(node, "n_targets", 1), join, np.zeros(0))
    except Damaged as error:
        raise unsupported(node, str(error), "export the model again") from error


HANDLERS = {("ai.onnx.ml", "TreeEnsembleRegressor"): _regressor, ("ai.onnx.ml", "TreeEnsemble"): _ensemble}
