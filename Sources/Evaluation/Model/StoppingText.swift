internal import Tokenizers

/// Text that is decoded as its tokens come, up to the first of some texts that end it.
struct StoppingText {
  private let stops: [[UInt8]]
  private var decoder: StreamingDecoder
  private var bytes: [UInt8] = []
  private(set) var tokenCount = 0
  private(set) var isStopped = false

  init(_ tokenizer: Tokenizer, stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    decoder = StreamingDecoder(tokenizer, skipSpecialTokens: true)
  }

  mutating func append(_ token: Int) {
    tokenCount += 1
    take(decoder.append(token))
  }

  /// The text, without the one that ended it.
  mutating func finish() -> String {
    take(decoder.finish())
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func take(_ piece: String) {
    guard !isStopped, !piece.isEmpty else { return }
    let before = bytes.count
    bytes += piece.utf8
    // The earliest beginning of any.
    let ends = stops.compactMap { stop -> Int? in
      let first = max(0, before - stop.count + 1)
      guard bytes.count - first >= stop.count else { return nil }
      return (first...(bytes.count - stop.count)).first { bytes[$0..<($0 + stop.count)].elementsEqual(stop) }
    }
    guard let end = ends.min() else { return }
    bytes.removeSubrange(end...)
    isStopped = true
  }
}
