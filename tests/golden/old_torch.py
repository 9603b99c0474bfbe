"""Import this before transformers 4.51, the first with Qwen3, where torch is older than it wants (1.13
in Debian 12): gives it the names that it looks up when it is imported. Models run as they are."""
import importlib.metadata
import sys
import types

import torch
import torch.utils._pytree

WANTED = "2.6.0"


class AnyNames(types.ModuleType):
    """A module in which every name is an empty class."""
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
    modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
    seen = set()
    for place, module in modules if recurse else [(prefix, self)]:
        for name, parameter in module._parameters.items():
            if parameter is not None and not (remove_duplicate and parameter in seen):
                seen.add(parameter)
                yield (place + "." if place else "") + name, parameter


def load_state_dict(self, state, strict=True, assign=False, copy=torch.nn.Module.load_state_dict):
    if not assign:
        return copy(self, state, strict)
    for name, tensor in state.items():
        place, _, own = name.rpartition(".")
        module = self.get_submodule(place)
        if own in module._parameters:
            tensor = torch.nn.Parameter(tensor, tensor.is_floating_point())
        setattr(module, own, tensor)


def pretend():
    torch.nn.Module.named_parameters = named_parameters
    torch.nn.Module.load_state_dict = load_state_dict
    version = importlib.metadata.version
    importlib.metadata.version = lambda name: WANTED if name == "torch" else version(name)
    register = torch.utils._pytree._register_pytree_node
    torch.utils._pytree.register_pytree_node = lambda cls, flatten, unflatten, **_: register(
        cls, flatten, unflatten)
    torch.compiler = types.SimpleNamespace(is_compiling=lambda: False,
                                           disable=lambda *_, **__: (lambda f: f))
    torch.accelerator = types.SimpleNamespace()
    for dtype in ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64"):
        setattr(torch, dtype, torch.uint8)
    for name in ("torch.distributed.tensor", "torch.distributed.tensor.parallel",
                 "torch.distributed.tensor.placement_types", "torch.distributed.device_mesh",
                 "torch.nn.attention", "torch.nn.attention.flex_attention"):
        sys.modules[name] = AnyNames(name)


if int(torch.__version__.split(".")[0]) < 2:
    pretend()
