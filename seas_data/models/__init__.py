"""Text generation behind one protocol: in this process with transformers, or from a server over HTTP."""
