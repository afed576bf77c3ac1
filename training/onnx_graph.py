"""A cross-encoder as a graph of ONNX, which `search.cross_encoder` runs without torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]

OPSET, IR_VERSION = 20, 10
"""The first with Gelu, and what ONNX Runtime 1.22 reads."""

TOP = 63
"""The largest of a matrix's whole numbers. Where a processor adds products of 8 bits in 16 bits,
those of 7 bits still fit (https://onnxruntime.ai/docs/performance/model-optimizations/quantization
.html#when-and-why-do-i-need-to-try-u8u8)."""

TABLE_TOP = 127
"""The largest of an embedding's: it is multiplied by nothing but its scale."""

EPSILON = 1e-12
"""BERT's, of the layer norm."""


def cross_encoder_graph(weights: Mapping[str, Array], *, layers: int, heads: int) -> bytes:
    """The model: `ids` and `is_paper`, (n,) int64 each, and `parts`, (3, n) float32, what of the n
    tokens is pooled three times, to `score`, (1, 1) float32.

    Products with the layers' matrices are computed in whole numbers, whose scale follows from the
    values at hand (dynamic quantization); attention and the head are not.

    Args:
        weights: by the names that transformers gives them in a BertModel; `hidden` and `output` are
            the head.
        heads: of the attention.
    """
    return _Graph(weights, heads).model(layers)


class _Graph:
    """Nodes and constants of a graph that is being written. A value is known by its name."""

    def __init__(self, weights: Mapping[str, Array], heads: int) -> None:
        self._weights = weights
        self._heads = heads
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._whole: dict[str, tuple[str, str, str]] = {}

    def model(self, layers: int) -> bytes:
        shape = self._node("Shape", "ids")
        places = self._node(
            "Range", self._constant("0", 0), self._node("Squeeze", shape), self._constant("1", 1)
        )
        states = self._norm(
            "embeddings.LayerNorm",
            self._node(
                "Sum",
                self._embedded("embeddings.word_embeddings", "ids"),
                self._embedded("embeddings.position_embeddings", places),
                self._embedded("embeddings.token_type_embeddings", "is_paper"),
            ),
        )
        for number in range(layers):
            states = self._layer(states, f"encoder.layer.{number}")
        pooled = self._node("MatMul", "parts", states)
        pooled = self._node("Reshape", pooled, self._constant("flat", [1, -1]))
        hidden = self._node("Tanh", self._linear("hidden", pooled))
        self._nodes.append(
            helper.make_node("Identity", [self._linear("output", hidden)], ["score"])
        )
        graph = helper.make_graph(
            self._nodes,
            "cross-encoder",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"]),
                helper.make_tensor_value_info("is_paper", TensorProto.INT64, ["n"]),
                helper.make_tensor_value_info("parts", TensorProto.FLOAT, [3, "n"]),
            ],
            [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 1])],
            list(self._constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())

    def _layer(self, states: str, name: str) -> str:
        width = len(self._weights[f"{name}.attention.self.query.bias"]) // self._heads
        apart = self._constant("apart", [0, self._heads, width])

        def part(which: str, order: Sequence[int]) -> str:
            linear = self._whole_linear(f"{name}.attention.self.{which}", states)
            return self._node("Transpose", self._node("Reshape", linear, apart), perm=order)

        by_head, to_keys = (1, 0, 2), (1, 2, 0)
        scale = self._constant("attention.scale", np.float32(width**-0.5))
        products = self._node("MatMul", part("query", by_head), part("key", to_keys))
        attention = self._node("Softmax", self._node("Mul", products, scale), axis=-1)
        mixed = self._node("MatMul", attention, part("value", by_head))
        mixed = self._node("Transpose", mixed, perm=by_head)
        mixed = self._node("Reshape", mixed, self._constant("joined", [0, -1]))
        output = self._whole_linear(f"{name}.attention.output.dense", mixed)
        states = self._norm(f"{name}.attention.output.LayerNorm", self._node("Add", states, output))
        inner = self._whole_linear(f"{name}.intermediate.dense", states)
        inner = self._node("Gelu", inner, approximate="tanh")
        output = self._whole_linear(f"{name}.output.dense", inner)
        return self._norm(f"{name}.output.LayerNorm", self._node("Add", states, output))

    def _embedded(self, name: str, ids: str) -> str:
        """Rows of a table, which is kept in 8 bits."""
        whole, scale = rounded(self._weights[f"{name}.weight"], TABLE_TOP)
        rows = self._node("Gather", self._constant(f"{name}.weight", whole), ids)
        scales = self._node("Gather", self._constant(f"{name}.scale", scale[:, None]), ids)
        return self._node("Mul", self._node("Cast", rows, to=TensorProto.FLOAT), scales)

    def _whole_linear(self, name: str, states: str) -> str:
        """A linear map, computed in whole numbers."""
        whole, scale = rounded(self._weights[f"{name}.weight"], TOP)
        if states not in self._whole:
            parts = (f"{states}.whole", f"{states}.scale", f"{states}.zero")
            self._nodes.append(helper.make_node("DynamicQuantizeLinear", [states], parts))
            self._whole[states] = parts
        of_states, states_scale, zero = self._whole[states]
        matrix = self._constant(f"{name}.weight", whole.T)
        products = self._node("MatMulInteger", of_states, matrix, zero)
        scales = self._node("Mul", states_scale, self._constant(f"{name}.scale", scale))
        products = self._node("Mul", self._node("Cast", products, to=TensorProto.FLOAT), scales)
        return self._node("Add", products, self._bias(name))

    def _linear(self, name: str, states: str) -> str:
        matrix = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self._node("Add", self._node("MatMul", states, matrix), self._bias(name))

    def _bias(self, name: str) -> str:
        return self._constant(f"{name}.bias", self._weights[f"{name}.bias"])

    def _norm(self, name: str, states: str) -> str:
        weight = self._constant(f"{name}.weight", self._weights[f"{name}.weight"])
        return self._node("LayerNormalization", states, weight, self._bias(name), epsilon=EPSILON)

    def _node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        output = f"{operator}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _constant(self, name: str, value: Any) -> str:
        self._constants[name] = numpy_helper.from_array(
            np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value), name
        )
        return name


def rounded(matrix: Array, top: int) -> tuple[NDArray[np.int8], Array]:
    """A matrix in whole numbers from `-top` to `top`, and the scale of each row."""
    scale = np.maximum(np.abs(matrix).max(axis=1) / top, 1e-12).astype(np.float32)
    whole = np.rint(matrix / scale[:, None]).clip(-top, top)
    return whole.astype(np.int8), scale
