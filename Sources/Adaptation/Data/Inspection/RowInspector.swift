import Foundation

/// What is asked of a file of rows before it is trained on.
public struct DataCheckOptions: Equatable, Sendable {
  public var format: RowFormat?
  /// In tokens, end-of-sequence included.
  public var maximumLength = TrainingData.defaultMaximumLength
  /// Files whose rows must not be among the training rows.
  public var against: [String] = []

  public init() {}
}

/// The tokens that mark a row's ends, as a tokenizer and a model's configuration name them.
public struct RowMarkers: Equatable, Sendable {
  public var beginning: Int?
  /// The token that is put behind completions and texts.
  public var end: Int?
  /// All that end a continuation; ``end`` is one.
  public var stops: Set<Int>
  /// Whether a token is a special one.
  public var special: Set<Int>

  public init(beginning: Int?, end: Int?, stops: Set<Int> = [], special: Set<Int> = []) {
    self.beginning = beginning
    self.end = end
    self.stops = stops.union([end].compactMap { $0 })
    self.special = special
  }
}

/// One row's defects. What concerns several rows at once is ``DataCheck``'s.
struct RowInspector {
  let encoder: any TextEncoder
  let markers: RowMarkers
  let maximumLength: Int

  /// The row must be the one that `tokens` were made of.
  func findings(_ row: TrainingRow, _ tokens: TokenizedRow) -> [DataFinding.Kind] {
    var kinds: [DataFinding.Kind] = []
    if tokens.tokens.count > maximumLength {
      kinds.append(.overlength)
      if tokens.truncated(to: maximumLength).labelCount == 0 { kinds.append(.noLabelsWithinLength) }
    }
    if repeatsBeginning(tokens.tokens) { kinds.append(.doubledBeginning) }
    kinds += ends(row, tokens)
    if case .completion(let prompt, let completion) = row, !prompt.isEmpty, merges(prompt, completion) {
      kinds.append(.mergedBoundary)
    }
    return kinds
  }

  /// Two tokens that begin a text one after another; where the same token also ends rows, only those at the start.
  private func repeatsBeginning(_ tokens: [Int32]) -> Bool {
    guard let beginning = markers.beginning.map({ Int32($0) }) else { return false }
    if tokens.starts(with: [beginning, beginning]) { return true }
    guard !markers.stops.contains(Int(beginning)) else { return false }
    return zip(tokens, tokens.dropFirst()).contains { $0 == beginning && $1 == beginning }
  }

  private func ends(_ row: TrainingRow, _ tokens: TokenizedRow) -> [DataFinding.Kind] {
    switch row {
    case .completion, .text:
      // The end is written out in the row and put behind it once more.
      let last = tokens.tokens.suffix(2)
      return last.count == 2 && last.first == last.last ? [.doubledEnd] : []
    case .conversation:
      let ends = tokens.labelRanges.map { Int(tokens.tokens[$0.upperBound - 1]) }
      if ends.contains(where: { !markers.stops.contains($0) && !markers.special.contains($0) }) {
        return [.endNotLearned]
      }
      return ends.allSatisfy(markers.stops.contains) ? [] : [.endIsNoStop]
    }
  }

  /// Whether the text as a whole has other tokens than its two parts.
  private func merges(_ prompt: String, _ completion: String) -> Bool {
    encoder.encode(prompt + completion) != encoder.encode(prompt) + encoder.encode(completion)
  }
}
