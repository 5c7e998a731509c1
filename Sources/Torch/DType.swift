/// Element type of a tensor, in memory or in a file.
///
/// The raw value is the name safetensors uses in its header.
public enum DType: String, CaseIterable, Sendable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case bool = "BOOL"

  /// Size of one element, in bytes.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    default: false
    }
  }

  /// The name Hugging Face's `config.json` uses (`torch_dtype` or `dtype`).
  public var configurationName: String {
    switch self {
    case .float64: "float64"
    case .float32: "float32"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .int64: "int64"
    case .int32: "int32"
    case .int16: "int16"
    case .int8: "int8"
    case .uint8: "uint8"
    case .bool: "bool"
    }
  }

  /// The type `config.json` names, or nil when the name is not one of ours. A `torch.` prefix is accepted.
  public init?(configurationName name: String) {
    let bare = name.hasPrefix("torch.") ? String(name.dropFirst(6)) : name
    guard let match = DType.allCases.first(where: { $0.configurationName == bare }) else { return nil }
    self = match
  }
}
