/// Unicode normalization forms (Unicode standard, annex 15).
///
/// The platform's own normalization is not used for whole texts: on Linux it leaves marks unordered when several
/// decompositions meet.
package enum NormalizationForm: String, Sendable {
  case nfc = "NFC"
  case nfd = "NFD"
  case nfkc = "NFKC"
  case nfkd = "NFKD"

  private var composes: Bool { self == .nfc || self == .nfkc }

  package func normalize(_ text: [UInt8]) -> [UInt8] {
    guard !isTrivial(text) else { return text }
    let data = self == .nfc || self == .nfd ? NormalizationData.canonical : NormalizationData.compatibility
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 8)
    var segment: [UInt32] = []
    text.withUnsafeBufferPointer { bytes in
      var position = 0
      while position < bytes.count {
        let (scalar, length) = UTF8Text.scalar(in: bytes, at: position)
        position += length
        // ASCII starts anew: it neither decomposes nor attaches itself to what stands before.
        if scalar < 0x80 {
          flush(&segment, into: &result)
          segment.append(scalar)
        } else {
          data.decompose(scalar, into: &segment)
        }
      }
      flush(&segment, into: &result)
    }
    return result
  }

  /// No scalar below U+0300 changes under NFC, no ASCII under the other forms.
  private func isTrivial(_ text: [UInt8]) -> Bool {
    let limit: UInt8 = self == .nfc ? 0xCC : 0x80
    return text.allSatisfy { $0 < limit }
  }

  /// Orders, composes and appends fully decomposed scalars.
  private func flush(_ segment: inout [UInt32], into result: inout [UInt8]) {
    if segment.count > 1 {
      Self.order(&segment)
      if composes { Self.compose(&segment) }
    }
    for value in segment {
      if let scalar = Unicode.Scalar(value) { UTF8Text.append(scalar, to: &result) }
    }
    segment.removeAll(keepingCapacity: true)
  }

  /// Sorts every run of combining marks by class, keeping the order of equals.
  private static func order(_ scalars: inout [UInt32]) {
    var start = 0
    while start < scalars.count {
      guard NormalizationData.combiningClass(scalars[start]) != 0 else {
        start += 1
        continue
      }
      var marks: [(scalar: UInt32, order: UInt8)] = []
      while start + marks.count < scalars.count {
        let scalar = scalars[start + marks.count]
        let order = NormalizationData.combiningClass(scalar)
        guard order != 0 else { break }
        marks.append((scalar, order))
      }
      if marks.count > 1 {
        // The standard library's sort is stable.
        marks.sort { $0.order < $1.order }
        for (offset, mark) in marks.enumerated() { scalars[start + offset] = mark.scalar }
      }
      start += marks.count
    }
  }

  private static func compose(_ scalars: inout [UInt32]) {
    var kept = 0
    var starter: Int?
    var lastClass: UInt8?
    for scalar in scalars {
      let order = NormalizationData.combiningClass(scalar)
      // Between a starter and this mark nothing of the same or a higher class may stand.
      if let starter, lastClass.map({ $0 < order }) ?? true,
        let composite = NormalizationData.composite(scalars[starter], scalar)
      {
        scalars[starter] = composite
        continue
      }
      scalars[kept] = scalar
      if order == 0 {
        starter = kept
        lastClass = nil
      } else {
        lastClass = order
      }
      kept += 1
    }
    scalars.removeLast(scalars.count - kept)
  }
}
