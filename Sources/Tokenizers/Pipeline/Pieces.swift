/// Text on its way to the model, cut into pieces.
struct Pieces {
  var text: [UInt8]
  /// Not empty, in order.
  var ranges: [Range<Int>]
  /// The first piece starts where the whole input starts.
  var startsInput: Bool

  init(text: [UInt8], startsInput: Bool) {
    self.text = text
    self.ranges = text.isEmpty ? [] : [0..<text.count]
    self.startsInput = startsInput
  }

  /// Cuts every piece; `cut` appends its parts, of which empty ones are dropped.
  mutating func split(_ cut: (UnsafeBufferPointer<UInt8>, Range<Int>, inout [Range<Int>]) -> Void) {
    var parts: [Range<Int>] = []
    parts.reserveCapacity(max(ranges.count, text.count / 4))
    text.withUnsafeBufferPointer { bytes in
      for range in ranges { cut(bytes, range, &parts) }
    }
    if parts.contains(where: \.isEmpty) { parts.removeAll(where: \.isEmpty) }
    if parts.first?.lowerBound != ranges.first?.lowerBound { startsInput = false }
    ranges = parts
  }

  /// Rewrites every piece; `rewrite` is told whether the piece starts the input.
  mutating func rewrite(_ rewrite: (UnsafeBufferPointer<UInt8>, Bool, inout [UInt8]) -> Void) {
    var newText: [UInt8] = []
    newText.reserveCapacity(text.count + text.count / 4 + 8)
    var newRanges: [Range<Int>] = []
    newRanges.reserveCapacity(ranges.count)
    text.withUnsafeBufferPointer { bytes in
      for (index, range) in ranges.enumerated() {
        let start = newText.count
        rewrite(UnsafeBufferPointer(rebasing: bytes[range]), index == 0 && startsInput, &newText)
        newRanges.append(start..<newText.count)
      }
    }
    text = newText
    ranges = newRanges
  }
}
