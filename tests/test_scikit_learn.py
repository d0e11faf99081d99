"""Models of scikit-learn, exported by skl2onnx, against ONNX Runtime, or scikit-learn where that lacks a locale."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import edgeort
from edgeort.errors import ModelError

pytest.importorskip("sklearn", reason="needs scikit-learn: pip install scikit-learn")
pytest.importorskip("skl2onnx", reason="needs skl2onnx: pip install skl2onnx")

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn import (
    compose,
    datasets,
    ensemble,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.feature_extraction import text

IRIS, CANCER, DIABETES = (load(return_X_y=True) for load in (
    datasets.load_iris, datasets.load_breast_cancer, datasets.load_diabetes
))  # fmt: skip
NAMED = (IRIS[0], np.array(["setosa", "versicolor", "virginica"])[IRIS[1]])

MODELS: dict[str, tuple[Any, Any]] = {
    "logistic": (linear_model.LogisticRegression(max_iter=500), IRIS),
    "logistic of two classes": (pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()), CANCER),
    "logistic of names": (linear_model.LogisticRegression(max_iter=500), NAMED),
    "forest": (ensemble.RandomForestClassifier(20, random_state=0), IRIS),
    "forest of two classes": (ensemble.RandomForestClassifier(20, random_state=0), CANCER),
    "forest of names": (ensemble.RandomForestClassifier(5, random_state=0), NAMED),
    "boosting": (ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0), IRIS),
    "boosting of two classes": (ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0), CANCER),
    "tree": (tree.DecisionTreeClassifier(random_state=0), IRIS),
    "forest of numbers": (ensemble.RandomForestRegressor(10, random_state=0), DIABETES),
    "boosting of numbers": (ensemble.GradientBoostingRegressor(n_estimators=10, random_state=0), DIABETES),
    "linear": (linear_model.LinearRegression(), DIABETES),
    "support vectors": (svm.SVR(), DIABETES),
    "support vectors, polynomial": (svm.SVR(kernel="poly"), DIABETES),
    "normalised": (pipeline.make_pipeline(preprocessing.Normalizer(), linear_model.Ridge()), DIABETES),
    "neighbours": (neighbors.KNeighborsClassifier(), IRIS),
    "Bayes": (naive_bayes.GaussianNB(), IRIS),
    "perceptron": (neural_network.MLPClassifier((8,), max_iter=50, random_state=0), IRIS),
}  # fmt: skip


def without_maps(model: Any) -> dict[Any, Any]:
    return {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else {}


def compare(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    for ours, theirs in zip(got, want, strict=True):
        assert ours.shape == theirs.shape
        if theirs.dtype.kind == "f":
            assert np.abs(ours - theirs).max() <= 2e-6 * max(1.0, np.abs(theirs).max())
        else:
            np.testing.assert_array_equal(ours, theirs)


def answers(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    with edgeort.InferenceSession(proto, threads=2) as session:
        return session.run(None, feeds)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_numbers(name: str) -> None:
    model, (x, y) = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    options = without_maps(model)
    proto = convert_sklearn(
        model, initial_types=[("x", FloatTensorType([None, x.shape[1]]))], target_opset=18, options=options or None
    )
    feeds = {"x": x.astype(np.float32)}
    compare(answers(proto, feeds), onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds))


def test_missing_values_go_where_the_forest_says() -> None:
    x = IRIS[0].copy()
    x[::3, 1] = x[::5, 2] = np.nan
    model = ensemble.RandomForestClassifier(10, random_state=0).fit(x, IRIS[1])
    proto = convert_sklearn(
        model, initial_types=[("x", FloatTensorType([None, 4]))], target_opset=18, options=without_maps(model)
    )
    feeds = {"x": x.astype(np.float32)}
    compare(answers(proto, feeds), onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds))


@pytest.mark.parametrize("encoder", [preprocessing.OneHotEncoder(), preprocessing.OrdinalEncoder()])
def test_columns_of_strings_and_numbers(encoder: Any) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({
        "age": rng.integers(20, 70, 200).astype(np.float32), "job": rng.choice(["clerk", "école", "tech"], 200),
    })  # fmt: skip
    labels = np.where((frame.age > 40) & (frame.job != "clerk"), "yes", "no")
    columns = compose.ColumnTransformer([("n", preprocessing.StandardScaler(), ["age"]), ("c", encoder, ["job"])])
    model = pipeline.make_pipeline(columns, ensemble.RandomForestClassifier(10, random_state=0)).fit(frame, labels)
    types = [("age", FloatTensorType([None, 1])), ("job", StringTensorType([None, 1]))]
    proto = convert_sklearn(model, initial_types=types, target_opset=18, options=without_maps(model))
    feeds = {"age": frame[["age"]].to_numpy(np.float32), "job": frame[["job"]].to_numpy(object)}
    compare(answers(proto, feeds), onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds))


@pytest.mark.parametrize("grams", [(1, 1), (1, 2)])
def test_texts(grams: tuple[int, int]) -> None:
    """Against scikit-learn: ONNX Runtime wants a locale."""
    texts = np.array(["The cat sat on the mat", "Dogs and cats are friends", "A mat for the dog"] * 3, object)
    model = pipeline.make_pipeline(text.TfidfVectorizer(ngram_range=grams), linear_model.LogisticRegression())
    model.fit(texts, [0, 1, 1] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto = convert_sklearn(
            model, initial_types=[("t", StringTensorType([None]))], target_opset=18, options=without_maps(model)
        )
    want = [model.predict(texts), model.predict_proba(texts).astype(np.float32)]
    compare(answers(proto, {"t": texts}), want)


def test_dictionaries_are_refused_with_the_option_that_leaves_them_out() -> None:
    model = linear_model.LogisticRegression(max_iter=500).fit(*IRIS)
    proto = convert_sklearn(model, initial_types=[("x", FloatTensorType([None, 4]))], target_opset=18)
    with pytest.raises(ModelError, match="is a dictionary") as caught:
        edgeort.InferenceSession(proto)
    assert "'zipmap': False" in str(caught.value.hint) and "lightgbm" in str(caught.value.hint)
