"""edgeort and onnxruntime-web in Chromium: size, load time and latency in one run."""
