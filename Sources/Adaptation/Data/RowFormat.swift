/// The forms a training row may have. The raw value is the name a flag takes.
public enum RowFormat: String, CaseIterable, Codable, Sendable {
  /// `{"prompt", "completion"}`: the completion is learned.
  case promptCompletion = "prompt-completion"
  /// `{"messages": [{"role", "content"}]}`: the assistant's turns are learned.
  case messages
  /// `{"instruction", "input", "output"}`: see ``InstructionPrompt``; the output is learned. `input` may be missing or
  /// empty.
  case instruction
  /// `{"text"}`: every token but the first is learned.
  case text

  /// Throws: ``TrainingDataError/unknownFormatName(_:)``.
  public init(named name: String) throws {
    guard let format = RowFormat(rawValue: name) else { throw TrainingDataError.unknownFormatName(name) }
    self = format
  }

  /// The format that a row with these fields has, or nil when it is none of ours.
  ///
  /// A format whose fields are all there wins over one of which only a part is; the latter is still recognised, so that
  /// the message can name the field that is missing.
  public static func detect(fields: Set<String>) -> RowFormat? {
    allCases.first { $0.requiredFields.isSubset(of: fields) }
      ?? allCases.first { !$0.requiredFields.isDisjoint(with: fields) }
  }

  var requiredFields: Set<String> {
    switch self {
    case .promptCompletion: ["prompt", "completion"]
    case .messages: ["messages"]
    case .instruction: ["instruction", "output"]
    case .text: ["text"]
    }
  }
}
