"""The conversations of chat_templates.py, and templates of the families of models."""

CONVERSATIONS = {
    "one turn": [{"role": "user", "content": "What is 2 + 2?"}],
    "system and turns": [
        {"role": "system", "content": "You are terse.\nAnswer in German."},
        {"role": "user", "content": "  Hi! "},
        {"role": "assistant", "content": "Hallo.\n"},
        {"role": "user", "content": "Wie geht's?\n\n```py\nprint('{{ x }}')\n```"},
    ],
    "ends with the model": [
        {"role": "user", "content": "日本語 \U0001f600?"},
        {"role": "assistant", "content": "はい。"},
    ],
    "two users": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "model first": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}],
    "empty content": [{"role": "system", "content": ""}, {"role": "user", "content": ""}],
    "no messages": [],
}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather, it's \"now\" <b>.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
TOOL_MESSAGES = [
    {"role": "user", "content": "Weather in Zürich?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich"}}}],
    },
    {"role": "tool", "content": '{"t": 21.5}'},
    {"role": "tool", "content": "sunny"},
]

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chatml_with_default(system):
    return (
        "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\n" + system + "<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' ~ m['role'] ~ '\n' ~ m['content'] ~ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )


LLAMA2 = (
    "{% if messages and messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set first = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set first = false %}{% endif %}"
    "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('after an optional system message, user and assistant must take turns, starting with user') }}"
    "{% endif %}{% if loop.index0 == 0 and first is not false %}"
    "{% set text = '<<SYS>>\n' + first + '\n<</SYS>>\n\n' + m['content'].strip() %}{% else %}"
    "{% set text = m['content'].strip() %}{% endif %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + text + ' [/INST]' }}{% elif m['role'] == 'assistant' %}"
    "{{ ' ' + text + ' ' + eos_token }}{% endif %}{% endfor %}"
)

LLAMA3 = (
    "{% set rest = messages %}{% for m in rest %}{% set text = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
    " + m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}"
    "{{ text }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)

MISTRAL = """{%- if messages and messages[0]["role"] == "system" %}
    {%- set first = messages[0]["content"] %}
    {%- set rest = messages[1:] %}
{%- else %}
    {%- set rest = messages %}
{%- endif %}
{%- set ns = namespace() %}
{%- set ns.count = 0 %}
{%- for m in rest %}
    {%- if (m["role"] == "user") != (ns.count % 2 == 0) %}
        {{- raise_exception("after an optional system message, user and assistant must take turns, starting with user") }}
    {%- endif %}
    {%- set ns.count = ns.count + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for m in rest %}
    {%- if m["role"] == "user" %}
        {%- if loop.last and first is defined %}
            {{- "[INST] " + first + "\\n\\n" + m["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + m["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif m["role"] == "assistant" %}
        {{- " " + m["content"] + eos_token }}
    {%- endif %}
{%- endfor %}
"""

ZEPHYR = """{% for m in messages %}
{% if m['role'] == 'user' %}
{{ '<|user|>\n' + m['content'] + eos_token }}
{% elif m['role'] == 'system' %}
{{ '<|system|>\n' + m['content'] + eos_token }}
{% elif m['role'] == 'assistant' %}
{{ '<|assistant|>\n'  + m['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

GEMMA = (
    "{{ bos_token }}{% if messages and messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% if (m['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = m['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + "
    "'<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)

GEMMA_WITH_SYSTEM = """{{ bos_token }}
{%- if messages and messages[0]['role'] == 'system' -%}
    {%- set prefix = messages[0]['content'] | trim + '\n\n' -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set prefix = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for m in rest -%}
    {%- set role = {'assistant': 'model'}.get(m['role'], m['role']) -%}
    {{ '<start_of_turn>' + role + '\n' + (prefix if loop.first else "") }}
    {%- if m['content'] is string -%}
        {{ m['content'] | trim }}
    {%- elif m['content'] is iterable -%}
        {%- for part in m['content'] -%}
            {{ part['text'] | trim if part['type'] == 'text' else '<image>' }}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\n' }}
{%- endif -%}
"""

QWEN_TOOLS = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }}{%- else %}{{- 'Default.' }}{%- endif %}
    {{- "\\n\\n# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages and messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nDefault.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}{{- '\\n' + message.content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{{- tool_call.arguments | tojson }}{{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- message.content }}{{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

FAMILIES = {
    "chatml": CHATML,
    "llama2": LLAMA2,
    "llama3": LLAMA3,
    "mistral": MISTRAL,
    "qwen2": QWEN_TOOLS,
    "zephyr": ZEPHYR,
    "gemma": GEMMA,
    "gemma3": GEMMA_WITH_SYSTEM,
    "smollm2": chatml_with_default("You are a small model."),
}

# A built-in template against a reference of its format that is written in another way. Where a built-in one differs on
# purpose (it also speaks before an empty conversation, say), the reference says so too.
NAMED = {
    "chatml": CHATML,
    "llama2": LLAMA2,
    "llama3": "{% if not messages %}{{ bos_token }}{% endif %}" + LLAMA3,
    "mistral": MISTRAL,
    "qwen2": "{% if not messages %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    + chatml_with_default("You are a helpful assistant."),
    "smollm2": "{% if not messages %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
    "Hugging Face<|im_end|>\n' }}{% endif %}"
    + chatml_with_default("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    "gemma": GEMMA_WITH_SYSTEM,
    "zephyr": "{% for m in messages %}{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ eos_token ~ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    "alpaca": "{% set ns = namespace(head='Below is an instruction that describes a task. Write a response that "
    "appropriately completes the request.', body='') %}{% for m in messages %}{% if m.role == 'system' %}"
    "{% set ns.head = m.content %}{% else %}{% set ns.body = ns.body ~ '\n\n### ' ~ ('Instruction' if m.role == 'user' "
    "else 'Response') ~ ':\n' ~ m.content ~ (eos_token if m.role == 'assistant' else '') %}{% endif %}{% endfor %}"
    "{{ ns.head ~ ns.body }}{% if add_generation_prompt %}{{ '\n\n### Response:\n' }}{% endif %}",
}
