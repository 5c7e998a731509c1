/// Remembers the ids of short words. Bounded: when it is full it starts again from nothing.
struct WordCache {
  static let maximumWordLength = 40
  private static let maximumCount = 1 << 15

  private struct Slot {
    var hash: UInt64 = 0
    var wordStart: UInt32 = 0
    var idStart: UInt32 = 0
    /// 0 when free.
    var wordLength: UInt16 = 0
    var idCount: UInt16 = 0
  }

  private var slots = [Slot](repeating: Slot(), count: maximumCount * 2)
  private var words: [UInt8] = []
  private var ids: [UInt32] = []
  private var count = 0

  /// Appends the ids of `word` and returns true when they are known.
  @inline(__always)
  func append(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, to output: inout [Int]) -> Bool {
    slots.withUnsafeBufferPointer { slots in
      var index = Int(truncatingIfNeeded: hash) & (slots.count - 1)
      while slots[index].wordLength != 0 {
        let slot = slots[index]
        if slot.hash == hash, Int(slot.wordLength) == word.count, isEqual(word, Int(slot.wordStart)) {
          let start = Int(slot.idStart)
          for id in start..<start + Int(slot.idCount) { output.append(Int(ids[id])) }
          return true
        }
        index = (index + 1) & (slots.count - 1)
      }
      return false
    }
  }

  @inline(__always)
  private func isEqual(_ word: UnsafeBufferPointer<UInt8>, _ start: Int) -> Bool {
    words.withUnsafeBufferPointer { words in
      for index in 0..<word.count where words[start + index] != word[index] { return false }
      return true
    }
  }

  /// Stores an unknown word of at most `maximumWordLength` bytes.
  mutating func insert(_ word: UnsafeBufferPointer<UInt8>, hash: UInt64, ids newIDs: ArraySlice<Int>) {
    if count == Self.maximumCount { removeAll() }
    var index = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[index].wordLength != 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = Slot(
      hash: hash, wordStart: UInt32(words.count), idStart: UInt32(ids.count), wordLength: UInt16(word.count),
      idCount: UInt16(newIDs.count))
    words.append(contentsOf: word)
    for id in newIDs { ids.append(UInt32(id)) }
    count += 1
  }

  private mutating func removeAll() {
    for index in slots.indices { slots[index].wordLength = 0 }
    words.removeAll(keepingCapacity: true)
    ids.removeAll(keepingCapacity: true)
    count = 0
  }
}
