extension ChatTemplate {
  /// The names that `named` knows.
  public static var names: [String] { sources.keys.sorted() }

  /// A template of a well-known format, for models that carry none.
  ///
  /// - Throws: `ChatTemplateError.unknownName` with the names there are.
  public static func named(_ name: String) throws -> ChatTemplate {
    guard let source = sources[name] else { throw ChatTemplateError.unknownName(name, known: names) }
    return try ChatTemplate(source: source)
  }

  private static let sources: [String: String] = [
    "alpaca": alpaca, "chatml": chatML(defaultSystem: nil), "gemma": gemma, "llama2": llama2, "llama3": llama3,
    "mistral": mistral, "qwen2": chatML(defaultSystem: "You are a helpful assistant."),
    "smollm2": chatML(defaultSystem: "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    "zephyr": zephyr,
  ]

  private static func chatML(defaultSystem: String?) -> String {
    let system =
      defaultSystem.map { text in
        """
        {%- if not messages or messages[0].role != 'system' %}
        {{- '<|im_start|>system\\n\(text)<|im_end|>\\n' }}
        {%- endif %}

        """
      } ?? ""
    return system + """
      {%- for message in messages %}
      {{- '<|im_start|>' + message.role + '\\n' }}
      {%- if message.role == 'assistant' %}
      {%- generation %}
      {{- message.content + '<|im_end|>' }}
      {%- endgeneration %}
      {{- '\\n' }}
      {%- else %}
      {{- message.content + '<|im_end|>\\n' }}
      {%- endif %}
      {%- endfor %}
      {%- if add_generation_prompt %}
      {{- '<|im_start|>assistant\\n' }}
      {%- endif %}
      """
  }

  /// Splits off a leading system message and insists on turns that alternate, as Llama 2 and Mistral do.
  private static let alternatingTurns = """
    {%- set system = messages[0].content if messages and messages[0].role == 'system' else none %}
    {%- set turns = messages[1:] if system is not none else messages %}
    {%- for message in turns %}
    {%- if message.role != ('user' if loop.index0 is even else 'assistant') %}
    {{- raise_exception('after an optional system message, user and assistant must take turns, starting with user') }}
    {%- endif %}
    {%- endfor %}

    """

  private static let llama2 =
    alternatingTurns + """
      {%- for message in turns %}
      {%- if message.role == 'user' %}
      {{- bos_token + '[INST] ' }}
      {%- if loop.first and system is not none %}
      {{- '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}
      {%- endif %}
      {{- message.content.strip() + ' [/INST]' }}
      {%- else %}
      {%- generation %}
      {{- ' ' + message.content.strip() + ' ' + eos_token }}
      {%- endgeneration %}
      {%- endif %}
      {%- endfor %}
      """

  private static let mistral =
    alternatingTurns + """
      {{- bos_token }}
      {%- for message in turns %}
      {%- if message.role == 'user' %}
      {{- '[INST] ' }}
      {%- if loop.last and system is not none %}
      {{- system + '\\n\\n' }}
      {%- endif %}
      {{- message.content + '[/INST]' }}
      {%- else %}
      {%- generation %}
      {{- ' ' + message.content + eos_token }}
      {%- endgeneration %}
      {%- endif %}
      {%- endfor %}
      """

  private static let llama3 = """
    {{- bos_token }}
    {%- for message in messages %}
    {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}
    {%- if message.role == 'assistant' %}
    {%- generation %}
    {{- message.content | trim + '<|eot_id|>' }}
    {%- endgeneration %}
    {%- else %}
    {{- message.content | trim + '<|eot_id|>' }}
    {%- endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
    {%- endif %}
    """

  private static let zephyr = """
    {%- for message in messages %}
    {{- '<|' + message.role + '|>\\n' }}
    {%- if message.role == 'assistant' %}
    {%- generation %}
    {{- message.content + eos_token }}
    {%- endgeneration %}
    {{- '\\n' }}
    {%- else %}
    {{- message.content + eos_token + '\\n' }}
    {%- endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
    {{- '<|assistant|>\\n' }}
    {%- endif %}
    """

  private static let gemma = """
    {{- bos_token }}
    {%- set system = messages[0].content if messages and messages[0].role == 'system' else none %}
    {%- for message in (messages[1:] if system is not none else messages) %}
    {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}
    {%- if loop.first and system is not none %}
    {{- system | trim + '\\n\\n' }}
    {%- endif %}
    {%- if message.role == 'assistant' %}
    {%- generation %}
    {{- message.content | trim + '<end_of_turn>' }}
    {%- endgeneration %}
    {{- '\\n' }}
    {%- else %}
    {{- message.content | trim + '<end_of_turn>\\n' }}
    {%- endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
    {{- '<start_of_turn>model\\n' }}
    {%- endif %}
    """

  private static let alpaca = """
    {%- set system = messages[0].content if messages and messages[0].role == 'system' else none %}
    {{- system if system is not none else 'Below is an instruction that describes a task. \
    Write a response that appropriately completes the request.' }}
    {%- for message in (messages[1:] if system is not none else messages) %}
    {%- if message.role == 'user' %}
    {{- '\\n\\n### Instruction:\\n' + message.content }}
    {%- elif message.role == 'assistant' %}
    {{- '\\n\\n### Response:\\n' }}
    {%- generation %}
    {{- message.content + eos_token }}
    {%- endgeneration %}
    {%- else %}
    {{- raise_exception('the alpaca format knows the roles system, user and assistant, not ' ~ message.role) }}
    {%- endif %}
    {%- endfor %}
    {%- if add_generation_prompt %}
    {{- '\\n\\n### Response:\\n' }}
    {%- endif %}
    """
}
