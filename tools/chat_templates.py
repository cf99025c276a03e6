"""What Python's jinja2 makes of llama.cpp's chat templates, with Hugging Face's settings.

usage: chat_templates.py digests FOLDER                      tests/data/chat/templates.json: digests of all renderings
       chat_templates.py show FOLDER TEMPLATE CONVERSATION   the texts behind one digest, as JSON lines
       chat_templates.py constructs                          tests/data/chat/constructs.json: texts of our own small templates

FOLDER holds the .jinja files (`templates` in the folder that tools/llama-vocabs.sh prints). Conversations, settings and our
own templates are in tests/data/inputs. Needs jinja2 3.1.6.
"""

import datetime
import hashlib
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

DATA = pathlib.Path(__file__).parent.parent / "tests/data"
INPUTS = DATA / "inputs/template_convs.json"


class Generation(jinja2.ext.Extension):
    """transformers' {% generation %}: marks text for training, writes what is inside it."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_inside"), [], [], body).set_lineno(line)

    def _inside(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment(now):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime(*now).strftime(form)
    return env


def renderings(env, source, conversation, inputs):
    """One record for each setting: ("text", …), ("raised", …) or ("failed", …)."""
    template = env.from_string(source)
    for setting in inputs["settings"]:
        variables = {
            "tools": conversation.get("tools"),
            "documents": None,
            "bos_token": inputs["bos"],
            "eos_token": inputs["eos"],
            **setting,
            "messages": conversation["messages"],
        }
        # A copy for each: nothing that one rendering does may reach the next.
        variables = json.loads(json.dumps(variables))
        try:
            yield "text", template.render(**variables)
        except jinja2.exceptions.TemplateError as error:
            raised = type(error) is jinja2.exceptions.TemplateError
            yield ("raised", str(error)) if raised else ("failed", str(error))
        except Exception as error:
            yield "failed", f"{type(error).__name__}: {error}"


def digest(records):
    """128 bits over the kinds and texts of all records; a failure counts, its words do not."""
    state = hashlib.sha256()
    for kind, text in records:
        state.update(f"{kind}\0{'' if kind == 'failed' else text}\0".encode())
    return state.hexdigest()[:32]


def digests(folder, inputs, env):
    templates = {}
    counts = {"text": 0, "raised": 0, "failed": 0}
    for path in sorted(pathlib.Path(folder).glob("*.jinja")):
        found = []
        for conversation in inputs["conversations"]:
            records = list(renderings(env, path.read_text(), conversation, inputs))
            for kind, _ in records:
                counts[kind] += 1
            found.append(digest(records))
        templates[path.stem] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "conversations": found}
    return {
        "jinja2": jinja2.__version__,
        "inputs_sha256": hashlib.sha256(INPUTS.read_bytes()).hexdigest(),
        "renderings": counts,
        "templates": templates,
    }


def constructs(inputs, env):
    """Every template of ours on the conversation "calls", with the first setting."""
    conversation = next(c for c in inputs["conversations"] if c["name"] == "calls")
    one = {**inputs, "settings": inputs["settings"][:1]}
    cases = []
    for source in json.loads((DATA / "inputs/template_constructs.json").read_text()):
        ((kind, text),) = renderings(env, source, conversation, one)
        cases.append({"template": source, "kind": kind, "text": text})
    return {"jinja2": jinja2.__version__, "cases": cases}


def main():
    command, *rest = sys.argv[1:]
    inputs = json.loads(INPUTS.read_text())
    env = environment(inputs["now"])
    if command == "show":
        folder, template, name = rest
        source = (pathlib.Path(folder) / f"{template}.jinja").read_text()
        conversation = next(c for c in inputs["conversations"] if c["name"] == name)
        for setting, (kind, text) in zip(inputs["settings"], renderings(env, source, conversation, inputs)):
            print(json.dumps({"setting": setting, "kind": kind, "text": text}, ensure_ascii=False))
        return
    made = digests(rest[0], inputs, env) if command == "digests" else constructs(inputs, env)
    name = "templates" if command == "digests" else "constructs"
    text = json.dumps(made, indent=1, ensure_ascii=False)
    (DATA / f"chat/{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
