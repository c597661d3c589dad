"""From a spectrum to a verdict: the ONNX session, and the judge who reads what it says."""
