/// The prompt made of an instruction row: Alpaca's wording, which LLM-Adapters' commonsense and arithmetic rows use
/// too.
///
/// LLM-Adapters' released code carries stray indentation and a linter comment inside this text; neither is kept here.
public enum InstructionPrompt {
  /// The text up to and including the line break after `### Response:`; the output follows directly.
  public static func text(instruction: String, input: String) -> String {
    if input.isEmpty {
      return """
        Below is an instruction that describes a task. Write a response that appropriately completes the request.

        ### Instruction:
        \(instruction)

        ### Response:

        """
    }
    return """
      Below is an instruction that describes a task, paired with an input that provides further context. \
      Write a response that appropriately completes the request.

      ### Instruction:
      \(instruction)

      ### Input:
      \(input)

      ### Response:

      """
  }
}
