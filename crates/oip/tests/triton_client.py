"""Asks an echo server everything that a Triton client would; exits non-zero where an answer is wrong."""

import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

client = http.InferenceServerClient(sys.argv[1], network_timeout=20)

assert client.is_server_live() and client.is_server_ready()
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
assert client.is_model_ready("identity_FP32") and client.is_model_ready("identity_FP32", "1")
assert not client.is_model_ready("identity_FP32", "2") and not client.is_model_ready("nothing")
metadata = client.get_model_metadata("identity_FP32")
assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}], metadata

random = np.random.default_rng(7)
arrays = [
    random.standard_normal((3, 5)).astype(np.float32),
    random.standard_normal((2, 150_528)).astype(np.float32),
    np.zeros((0, 4), np.float32),
    random.standard_normal((3, 5)),
    random.standard_normal((3, 5)).astype(np.float16),
    random.integers(0, 2, (4, 3)).astype(bool),
    np.array([["a", 'quote " \\ \n'], ["é", ""]], dtype=np.object_),
] + [
    np.array([[np.iinfo(kind).min, np.iinfo(kind).max, 1]], kind)
    for kind in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
]

asked = 0
for array in arrays:
    datatype = np_to_triton_dtype(array.dtype)
    for binary_in in (True, False):
        for outputs in (None, [True], [False]):
            only_binary = datatype == "FP16"
            if only_binary and not (binary_in and outputs in (None, [True])):
                continue
            tensor = http.InferInput("x", list(array.shape), datatype)
            tensor.set_data_from_numpy(array, binary_data=binary_in)
            wanted = outputs and [http.InferRequestedOutput("y", binary_data=each) for each in outputs]
            answer = client.infer(f"identity_{datatype}", [tensor], outputs=wanted, request_id="r1")
            got = answer.as_numpy("y")
            if array.dtype == np.object_ and binary_in is not None:
                got = np.array([each.decode() if isinstance(each, bytes) else each for each in got.flat], np.object_)
                got = got.reshape(array.shape)
            assert got.shape == array.shape and np.array_equal(got, array), (datatype, binary_in, outputs, got)
            assert answer.get_response()["id"] == "r1"
            asked += 1


def refused(status, message, model="identity_FP32", shape=(1, 2), datatype="FP32", name="x", **more):
    tensor = http.InferInput(name, list(shape), datatype)
    kinds = {"FP32": np.float32, "INT64": np.int64}
    tensor.set_data_from_numpy(np.ones(shape, kinds[datatype]))
    try:
        client.infer(model, [tensor], **more)
    except InferenceServerException as error:
        assert error.status() == str(status) and message in error.message(), error
    else:
        raise AssertionError(f"{message!r} was expected")


refused(404, "there is no model `nothing`", model="nothing")
refused(404, "has no version `9`", model_version="9")
refused(400, "there is no input `z`; inputs are `x` FP32 [N, M]", name="z")
refused(400, "input `x` FP32 [N, M] is expected, the request brings INT64 [1, 2]", datatype="INT64")
refused(400, "the request brings FP32 [1, 2, 3]", shape=(1, 2, 3))
refused(400, "there is no output `w`", outputs=[http.InferRequestedOutput("w")])
refused(400, "classification is not supported", outputs=[http.InferRequestedOutput("y", class_count=2)])
refused(415, "Content-Encoding", request_compression_algorithm="gzip")
refused(503, "the queue is full", parameters={"fail": "overloaded"})
refused(504, "too late", parameters={"fail": "deadline"})
refused(500, "broken", parameters={"fail": "internal"})

print(f"tritonclient: {asked} inferences equal, all refusals as expected")
