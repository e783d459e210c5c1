"""YAML, of which a key given twice is a mistake: the parser alone would keep the last one."""

from typing import Any


def parse_yaml(text: str) -> Any:
    """Return what a YAML text holds.

    Raises:
        yaml.YAMLError: It is no YAML, or gives a key twice.
        ValueError: It holds a date that there is not.
        RecursionError: It is nested too deeply.

    Examples:
        >>> parse_yaml("epochs: 3")
        {'epochs': 3}
    """
    # The base install goes without.
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value!r} is given twice"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
            return node

    return yaml.load(text, Loader)
