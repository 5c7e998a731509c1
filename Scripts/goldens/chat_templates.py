"""Goldens of the chat templates: what jinja2, set up as transformers sets it up, makes of each template.

Run: python Scripts/goldens/chat_templates.py
Writes Tests/TokenizersTests/Goldens/chat_templates.json (deterministic; no seed). Needs transformers and jinja2.

The file holds "contexts" (messages and variables by name), "templates" (those of families, by name) and "cases":
"name", "context", "add_generation_prompt", one of "template" (text), "family" (a name in "templates") and "named" (a
built-in template), and the outcome: "expected", or "error" ("syntax": refused when compiled; "raised": by
raise_exception, with its "message"; "evaluation": anything else while rendering). Objects keep the order of their
members: they are written {"object": [[name, value], ...]}. What a built-in template should give comes from a reference
template of the same format, written in another way.
"""

import json
import pathlib

import jinja2
import transformers
from transformers.utils import chat_template_utils

from chat_template_cases import CASES, DATA
from chat_template_families import CONVERSATIONS, FAMILIES, NAMED, TOOL_MESSAGES, TOOLS

TARGET = pathlib.Path(__file__).parents[2] / "Tests/TokenizersTests/Goldens/chat_templates.json"


def ordered(value):
    if isinstance(value, dict):
        return {"object": [[name, ordered(item)] for name, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [ordered(item) for item in value]
    return value


def compiled(template):
    function = getattr(chat_template_utils, "_cached_compile_jinja_template")
    return getattr(function, "__wrapped__", function)(template)


def outcome(template, messages, variables, add_generation_prompt):
    try:
        program = compiled(template)
    except (jinja2.TemplateSyntaxError, SyntaxError):
        return {"error": "syntax"}
    context = {"tools": None, "documents": None, **variables}
    try:
        text = program.render(messages=messages, add_generation_prompt=add_generation_prompt, **context)
    except jinja2.TemplateError as error:
        if type(error) is jinja2.TemplateError:
            return {"error": "raised", "message": str(error)}
        return {"error": "evaluation"}
    except Exception:
        return {"error": "evaluation"}
    return {"expected": text}


def main():
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}
    contexts = {"none": ([], {}), "data": (DATA["messages"], DATA["variables"])}
    contexts |= {title: (messages, special) for title, messages in CONVERSATIONS.items()}
    contexts["tools"] = (TOOL_MESSAGES, {**special, "tools": TOOLS})
    rows = []

    def add(source, template, context, prompt):
        messages, variables = contexts[context]
        result = outcome(template, messages, variables, prompt)
        rows.append({**source, "context": context, "add_generation_prompt": prompt, **result})

    for template in CASES:
        add({"template": template}, template, "data", False)
    for kind, templates in (("family", FAMILIES), ("named", NAMED)):
        for name, template in templates.items():
            for context in CONVERSATIONS:
                for prompt in (False, True):
                    add({kind: name}, template, context, prompt)
    add({"family": "qwen2"}, FAMILIES["qwen2"], "tools", True)

    document = {
        "jinja2": jinja2.__version__,
        "transformers": transformers.__version__,
        "contexts": {
            name: {"messages": ordered(messages), "variables": ordered(variables)}
            for name, (messages, variables) in contexts.items()
        },
        "templates": FAMILIES,
        "cases": rows,
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    head = json.dumps({key: value for key, value in document.items() if key != "cases"}, ensure_ascii=False)[:-1]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    TARGET.write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    counts = {}
    for row in rows:
        counts[row.get("error", "text")] = counts.get(row.get("error", "text"), 0) + 1
    print(len(rows), "cases", counts)


if __name__ == "__main__":
    main()
