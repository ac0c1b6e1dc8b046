"""Files of weights alone: numbers without the network they belong to."""

from __future__ import annotations

from inference_server.scaffold.literal import shown
from inference_server.scaffold.model import Code

_HELPERS = '''
def build():
    """The network that the weights belong to, as it was trained: a torch.nn.Module. To be written by you.

    The file holds
{tensors}
    """
    return None  # for example: torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
'''
NOTE = "score.py: write build(), the network; until then every request is answered with 501"
_MOST_TENSORS = 20


def code(load_weights: str, imports: tuple[str, ...], tensors: list[tuple[str, tuple[int, ...]]]) -> Code:
    """A script that starts at once and says what is missing. `load_weights` reads the file at `path`."""
    listed = [shown(f"        {name} {list(shape)}") for name, shape in tensors[:_MOST_TENSORS]]
    if len(tensors) > _MOST_TENSORS:
        listed.append(f"        and {len(tensors) - _MOST_TENSORS} more")
    return Code(
        imports=(*imports, "from azureml_inference_server_http.api.aml_response import AMLResponse"),
        load=(
            "network = build()",
            "if network is not None:",
            f"    network.load_state_dict({load_weights})",
            "    network.eval()",
        ),
        loaded=("network",),
        predict=(
            "if network is None:",
            '    return AMLResponse({"message": "score.py: build() is not written yet"}, 501, json_str=True)',
            "with torch.inference_mode():",
            "    return network(torch.tensor({data}, dtype=torch.float32)).tolist()",
        ),
        helpers=_HELPERS.replace("{tensors}", "\n".join(listed)),
        notes=(NOTE,),
    )
