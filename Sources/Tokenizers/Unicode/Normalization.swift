internal import Foundation

/// Unicode normalization forms, with the data of Unicode 12.0 that the reference uses: scalars assigned later neither
/// decompose nor compose.
enum NormalizationForm: String {
  case nfc = "NFC"
  case nfd = "NFD"
  case nfkc = "NFKC"
  case nfkd = "NFKD"

  func normalize(_ text: [UInt8]) -> [UInt8] {
    guard !isTrivial(text) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var known = String.UnicodeScalarView()
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      guard Self.isNewer(scalar) else {
        known.append(scalar)
        continue
      }
      append(known, to: &result)
      known = String.UnicodeScalarView()
      UTF8Text.append(scalar, to: &result)
    }
    append(known, to: &result)
    return result
  }

  /// No scalar below U+0300 changes under NFC, no ASCII under the other forms.
  private func isTrivial(_ text: [UInt8]) -> Bool {
    let limit: UInt8 = self == .nfc ? 0xCC : 0x80
    return text.allSatisfy { $0 < limit }
  }

  private static func isNewer(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x300, let age = scalar.properties.age else { return false }
    return age.major > 12 || (age.major == 12 && age.minor > 0)
  }

  private func append(_ scalars: String.UnicodeScalarView, to result: inout [UInt8]) {
    guard !scalars.isEmpty else { return }
    let text = String(scalars)
    let normalized =
      switch self {
      case .nfc: text.precomposedStringWithCanonicalMapping
      case .nfd: text.decomposedStringWithCanonicalMapping
      case .nfkc: text.precomposedStringWithCompatibilityMapping
      case .nfkd: text.decomposedStringWithCompatibilityMapping
      }
    result.append(contentsOf: normalized.utf8)
  }
}
