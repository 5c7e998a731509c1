/// Element types of GGUF tensors; the raw value is the code in the file.
///
/// Elements lie in blocks of ``blockElementCount`` along a row, ``blockByteCount`` bytes each.
// The cases are ggml's names.
// swift-format-ignore: AlwaysUseLowerCamelCase
public enum GGUFTensorType: UInt32, CaseIterable, Sendable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q8_1 = 9
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case q8_K = 15
  case iq2_XXS = 16
  case iq2_XS = 17
  case iq3_XXS = 18
  case iq1_S = 19
  case iq4_NL = 20
  case iq3_S = 21
  case iq2_S = 22
  case iq4_XS = 23
  case i8 = 24
  case i16 = 25
  case i32 = 26
  case i64 = 27
  case f64 = 28
  case iq1_M = 29
  case bf16 = 30
  case tq1_0 = 34
  case tq2_0 = 35
  case mxfp4 = 39

  /// The name other tools print, such as `Q4_K`.
  public var name: String { "\(self)".uppercased() }

  public var blockElementCount: Int { layout.elements }
  public var blockByteCount: Int { layout.bytes }

  private var layout: (elements: Int, bytes: Int) {
    switch self {
    case .i8: (1, 1)
    case .f16, .bf16, .i16: (1, 2)
    case .f32, .i32: (1, 4)
    case .f64, .i64: (1, 8)
    case .q4_0, .iq4_NL: (32, 18)
    case .q4_1: (32, 20)
    case .q5_0: (32, 22)
    case .q5_1: (32, 24)
    case .q8_0: (32, 34)
    case .q8_1: (32, 40)
    case .mxfp4: (32, 17)
    case .q2_K: (256, 84)
    case .q3_K, .iq3_S: (256, 110)
    case .q4_K: (256, 144)
    case .q5_K: (256, 176)
    case .q6_K: (256, 210)
    case .q8_K: (256, 292)
    case .iq2_XXS, .tq2_0: (256, 66)
    case .iq2_XS: (256, 74)
    case .iq2_S: (256, 82)
    case .iq3_XXS: (256, 98)
    case .iq1_S: (256, 50)
    case .iq1_M: (256, 56)
    case .iq4_XS: (256, 136)
    case .tq1_0: (256, 54)
    }
  }
}

/// Name, type and place of one tensor in a GGUF file.
public struct GGUFTensorInfo: Equatable, Sendable {
  public let name: String
  public let type: GGUFTensorType
  /// Row-major shape, slowest dimension first: the reverse of the order in the file.
  public let shape: [Int]
  /// Where the first byte lies, from the start of the file.
  public let offset: Int
  public let byteCount: Int

  /// Elements of one row: the last dimension.
  public var rowElementCount: Int { shape.last ?? 1 }
  /// Product of all dimensions but the last.
  public var rowCount: Int { shape.dropLast().reduce(1, *) }
  public var rowByteCount: Int { rowElementCount / type.blockElementCount * type.blockByteCount }
  public var elementCount: Int { rowElementCount * rowCount }
}
