"""MIL's recurrent operations step by step, by the formulas of coremltools' documentation."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sigmoid": sigmoid}


def _lstm_way(x, h, c, weight_ih, weight_hh, bias, peephole):
    hidden = h.shape[1]
    p_i, p_f, p_o = np.split(peephole if peephole is not None else np.zeros(3 * hidden, np.float32), 3)
    found = []
    for now in x:
        i, f, o, z = np.split(now @ weight_ih.T + h @ weight_hh.T + bias, 4, axis=1)
        i, f = sigmoid(i + p_i * c), sigmoid(f + p_f * c)
        c = f * c + i * np.tanh(z)
        h = sigmoid(o + p_o * c) * np.tanh(c)
        found.append(h)
    return np.stack(found), h, c


def lstm(
    x, initial_h, initial_c, weight_ih, weight_hh, bias=0.0, peephole=None, direction="forward", output_sequence=False,
    weight_ih_back=None, weight_hh_back=None, bias_back=0.0, peephole_back=None, recurrent_activation="sigmoid",
    cell_activation="tanh", activation="tanh", clip=None,
):  # fmt: skip
    assert output_sequence and (recurrent_activation, cell_activation, activation) == ("sigmoid", "tanh", "tanh")
    if direction == "forward":
        return list(_lstm_way(x, initial_h, initial_c, weight_ih, weight_hh, bias, peephole))
    assert direction == "bidirectional"
    (h, h_back), (c, c_back) = (np.split(start, 2, axis=1) for start in (initial_h, initial_c))
    ahead = _lstm_way(x, h, c, weight_ih, weight_hh, bias, peephole)
    back = _lstm_way(x[::-1], h_back, c_back, weight_ih_back, weight_hh_back, bias_back, peephole_back)
    return [
        np.concatenate([ahead[0], back[0][::-1]], axis=2),
        *(np.concatenate(pair, axis=1) for pair in zip(ahead[1:], back[1:], strict=True)),
    ]


def gru(
    x, initial_h, weight_ih, weight_hh, bias=None, direction="forward", output_sequence=False,
    recurrent_activation="sigmoid", activation="tanh",
):  # fmt: skip
    assert output_sequence and (recurrent_activation, activation, direction) == ("sigmoid", "tanh", "forward")
    h, found = initial_h, []
    for now in x:
        from_x = np.split(now @ weight_ih.T + (0 if bias is None else bias), 3, axis=1)
        from_h = np.split(h @ weight_hh.T, 3, axis=1)
        r, z = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[2] + from_h[2])
        h = (1 - z) * np.tanh(from_x[1] + r * from_h[1]) + z * h
        found.append(h)
    return [np.stack(found), h]


def rnn(x, initial_h, weight_ih, weight_hh, bias=0.0, direction="forward", output_sequence=False, activation="tanh"):
    assert output_sequence and direction == "forward"
    h, found = initial_h, []
    for now in x:
        h = ACTIVATIONS[str(activation)](now @ weight_ih.T + h @ weight_hh.T + bias)
        found.append(h)
    return [np.stack(found), h]
