"""Text, token by token, from a decoder that keeps the keys and values of earlier tokens.

decoder = Decoder("decoder.onnx", capacity=1024)
for token in decoder.generate([1, 42, 7], max_tokens=100, sampling=Sampling(top_p=0.9), stop_ids=[2]):
    print(token)
"""

from edgeort.generation.decoder import Decoder
from edgeort.generation.sampling import Sampler, Sampling, nucleus

__all__ = ["Decoder", "Sampler", "Sampling", "nucleus"]
