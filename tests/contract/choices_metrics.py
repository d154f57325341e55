"""Which metrics adapters the contract suite runs."""

CHOICES = {"prometheus": {"providers": ("local",), "models": ("m-1",), "version": "1"}, "off": {}}
