public import Foundation

/// Why a LoRA adapter in PEFT's format was refused.
public enum LoRAError: Error, Equatable, Sendable {
  /// A setting of `adapter_config.json` that changes what the adapter computes, and is not known here.
  case unsupported(path: String, key: String, value: String)
  case malformed(path: String, key: String, value: String, expected: String)
  case onlyPickledWeights(path: String)
  /// Everything that is wrong with its tensors, or between them and the model.
  case doesNotFit(path: String, problems: [String])
}

extension LoRAError: CustomStringConvertible, LocalizedError {
  public var description: String {
    switch self {
    case .unsupported(let path, let key, let value):
      """
      \(path): '\(key)' is \(value), which is not supported: use a plain or rank-stabilised LoRA of q_proj, k_proj, v_proj, \
      o_proj, gate_proj, up_proj and down_proj, or merge the adapter with PEFT first
      """
    case .malformed(let path, let key, let value, let expected):
      "\(path): '\(key)' is \(value), expected \(expected): write the adapter again"
    case .onlyPickledWeights(let path):
      "\(path) is pickled: save the adapter again with safe_serialization=True, as adapter_model.safetensors"
    case .doesNotFit(let path, let problems):
      "LoRA adapter \(path) does not fit the model: \(Self.list(problems)); use the base it was trained on"
    }
  }

  public var errorDescription: String? { description }

  private static func list(_ items: [String]) -> String {
    let shown = items.prefix(3).joined(separator: ", ")
    return items.count > 3 ? "\(shown) and \(items.count - 3) more" : shown
  }
}
