internal import Foundation

/// Decompositions and compositions of Unicode 9, the version the reference has. Scalars assigned later neither
/// decompose, nor compose, nor combine.
struct NormalizationData: Sendable {
  private let decompositions: [UInt32: [UInt32]]

  /// The blocks of 128 scalars in which some scalar decomposes; Hangul syllables do by arithmetic.
  private static let canonicalBlocks: [ClosedRange<UInt32>] = [
    0x80...0x27F, 0x300...0x47F, 0x480...0x4FF, 0x600...0x6FF, 0x900...0x9FF, 0xA00...0xA7F, 0xB00...0xBFF,
    0xC00...0xCFF, 0xD00...0xDFF, 0xF00...0xFFF, 0x1000...0x107F, 0x1B00...0x1B7F, 0x1E00...0x207F, 0x2100...0x22FF,
    0x2300...0x237F, 0x2A80...0x2AFF, 0x3000...0x30FF, 0xF900...0xFB7F, 0x11080...0x1117F, 0x11300...0x1137F,
    0x11480...0x114FF, 0x11580...0x115FF, 0x1D100...0x1D1FF, 0x2F800...0x2FA7F,
  ]
  private static let compatibilityBlocks: [ClosedRange<UInt32>] = [
    0x80...0x6FF, 0x900...0xFFF, 0x1000...0x10FF, 0x1B00...0x1B7F, 0x1D00...0x24FF, 0x2A00...0x2AFF,
    0x2C00...0x2DFF, 0x2E80...0x30FF, 0x3100...0x33FF, 0xA600...0xA7FF, 0xAB00...0xAB7F, 0xF900...0xFFFF,
    0x11080...0x1117F, 0x11300...0x1137F, 0x11480...0x114FF, 0x11580...0x115FF, 0x1D100...0x1D1FF,
    0x1D400...0x1D7FF, 0x1EE00...0x1EEFF, 0x1F100...0x1F27F, 0x2F800...0x2FA7F,
  ]

  static let canonical = NormalizationData(blocks: canonicalBlocks) { $0.decomposedStringWithCanonicalMapping }
  static let compatibility = NormalizationData(blocks: compatibilityBlocks) {
    $0.decomposedStringWithCompatibilityMapping
  }

  /// First scalar in the high half, second in the low.
  private static let composites: [UInt64: UInt32] = {
    var composites: [UInt64: UInt32] = [:]
    for (scalar, parts) in canonical.decompositions where parts.count > 1 {
      guard let value = Unicode.Scalar(scalar) else { continue }
      // Composition exclusions do not come back.
      let composed = Array(String(value).precomposedStringWithCanonicalMapping.unicodeScalars)
      guard composed == [value], let last = parts.last else { continue }
      let front = String(String.UnicodeScalarView(parts.dropLast().compactMap(Unicode.Scalar.init)))
      let first = Array(front.precomposedStringWithCanonicalMapping.unicodeScalars)
      guard first.count == 1 else { continue }
      composites[UInt64(first[0].value) << 32 | UInt64(last)] = scalar
    }
    return composites
  }()

  private init(blocks: [ClosedRange<UInt32>], mapping: (String) -> String) {
    var decompositions: [UInt32: [UInt32]] = [:]
    for value in blocks.joined() {
      guard let scalar = Unicode.Scalar(value), !Self.isNewer(scalar) else { continue }
      let parts = mapping(String(scalar)).unicodeScalars.map(\.value)
      if parts != [value] { decompositions[value] = parts }
    }
    self.decompositions = decompositions
  }

  /// Whether the scalar was assigned after Unicode 9.
  private static func isNewer(_ scalar: Unicode.Scalar) -> Bool {
    guard scalar.value >= 0x300, let age = scalar.properties.age else { return false }
    return age.major > 9
  }

  /// Whether Unicode 9 calls the scalar a mark.
  static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    // Letters since Unicode 12.
    if scalar.value == 0x1CF2 || scalar.value == 0x1CF3 { return true }
    // Punctuation before Unicode 11.
    if scalar.value == 0x111C9 { return false }
    return CategoryMask.mark.contains(Category(scalar.properties.generalCategory)) && !isNewer(scalar)
  }

  static func combiningClass(_ value: UInt32) -> UInt8 {
    // Ideographs, Hangul and everything below the combining diacritics have class 0.
    if value < 0x300 || (0x3400..<0xA000).contains(value) || (0xAC00..<0xD800).contains(value) { return 0 }
    guard let scalar = Unicode.Scalar(value) else { return 0 }
    let order = scalar.properties.canonicalCombiningClass.rawValue
    return order != 0 && isNewer(scalar) ? 0 : order
  }

  @inline(__always)
  func decompose(_ scalar: UInt32, into output: inout [UInt32]) {
    if (0xAC00..<0xD7A4).contains(scalar) {
      let index = scalar - 0xAC00
      output.append(0x1100 + index / 588)
      output.append(0x1161 + index % 588 / 28)
      if index % 28 != 0 { output.append(0x11A7 + index % 28) }
    } else if (0x3400..<0xA000).contains(scalar) {
      output.append(scalar)
    } else if let parts = decompositions[scalar] {
      output.append(contentsOf: parts)
    } else {
      output.append(scalar)
    }
  }

  static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100..<0x1113).contains(first), (0x1161..<0x1176).contains(second) {
      return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if (0xAC00..<0xD7A4).contains(first), (first - 0xAC00) % 28 == 0, (0x11A8..<0x11C3).contains(second) {
      return first + second - 0x11A7
    }
    return second < 0x300 ? nil : composites[UInt64(first) << 32 | UInt64(second)]
  }
}
