/// The ids of a text, with the number of them before each of some places in it.
public struct CountedEncoding: Equatable, Sendable {
  public let ids: [Int]
  /// A place each: as many ids as the text before it has by itself; nil where those are not the first ones of ``ids``,
  /// because a token reaches over the place or would be another without what follows.
  public let counts: [Int?]

  public init(ids: [Int], counts: [Int?]) {
    self.ids = ids
    self.counts = counts
  }
}

/// Finds the counts of a ``CountedEncoding`` while its ids are made, part by part of the text.
struct PlaceCounter {
  private let places: [Int]
  private var budget: Int
  private var found: [Int?] = []

  /// - Parameter places: UTF-8 offsets, ascending.
  init(_ places: [Int], budget: Int) {
    self.places = places
    self.budget = budget
    found.reserveCapacity(places.count)
    while found.count < places.count, places[found.count] == 0 { found.append(0) }
  }

  var isOverBudget: Bool { budget < 0 }

  /// A place each; none for one behind the text.
  var counts: [Int?] { found + [Int?](repeating: nil, count: places.count - found.count) }

  /// Counts before the places in a part of the text, its end included.
  ///
  /// - Parameters:
  ///   - ids: of the text up to the part's end.
  ///   - start: a place before the part, or its beginning, and the number of ids before it: where encoding can begin anew.
  ///   - isExactAtEnd: whether the text up to the part's end has all of `ids` and no others.
  ///   - encode: the ids of a stretch of text; nil where it ends inside of a character.
  mutating func count(
    in part: Range<Int>, ids: [Int], start: (text: Int, id: Int), isExactAtEnd: Bool,
    _ encode: (Range<Int>) -> [Int]?
  ) {
    while found.count < places.count, places[found.count] <= part.upperBound {
      let place = places[found.count]
      if isExactAtEnd, place == part.upperBound {
        found.append(ids.count)
        continue
      }
      budget -= max(0, place - start.text)
      guard !isOverBudget else { return }
      let before = place < start.text ? nil : encode(start.text..<place)
      found.append(before.flatMap { ids[start.id...].starts(with: $0) ? start.id + $0.count : nil })
    }
  }
}
