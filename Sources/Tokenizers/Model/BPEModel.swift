internal import HeapModule

/// Byte-pair encoding: a word's symbols are merged, lowest rank first, leftmost among equals, until no merge applies.
struct BPEModel: Sendable {
  let vocabulary: Vocabulary
  let merges: MergeTable
  let unknownID: Int?
  let fusesUnknown: Bool
  let ignoresMerges: Bool
  /// The 256 ids of `<0x00>` to `<0xFF>`, nil where one is missing; empty without byte fallback.
  let byteFallback: [Int?]
  /// Words are the text's own bytes, and symbols start as single bytes with these ids. Empty when words are characters.
  let byteSymbols: [UInt32]
  /// With `ignoresMerges` and byte symbols: whole tokens by their bytes.
  let wholeWords: ByteTable?
  /// No merge reaches across the start of a word marked by ▁, so text may be cut there.
  let cutsAtMarks: Bool

  static let mark: [UInt8] = [0xE2, 0x96, 0x81]

  /// What one encoding in progress needs; reused, never shared.
  struct Workspace {
    var cache = WordCache()
    fileprivate var symbols: [UInt32] = []
    fileprivate var pairs: [UInt64] = []
    fileprivate var previous: [Int32] = []
    fileprivate var next: [Int32] = []
  }

  func encode(_ word: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace, into output: inout [Int]) {
    guard cutsAtMarks else { return encodeWhole(word, &workspace, into: &output) }
    var start = 0
    var position = 0
    var followsMark = true
    while position < word.count {
      let isMark =
        word[position] == 0xE2 && position + 2 < word.count && word[position + 1] == 0x96 && word[position + 2] == 0x81
      if isMark, !followsMark {
        encodeWhole(UnsafeBufferPointer(rebasing: word[start..<position]), &workspace, into: &output)
        start = position
      }
      followsMark = isMark
      position += isMark ? 3 : 1
    }
    encodeWhole(UnsafeBufferPointer(rebasing: word[start...]), &workspace, into: &output)
  }

  @inline(__always)
  private func encodeWhole(
    _ word: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace, into output: inout [Int]
  ) {
    guard !word.isEmpty else { return }
    guard word.count <= WordCache.maximumWordLength else { return merge(word, &workspace, into: &output) }
    let hash = ByteTable.hash(word)
    if workspace.cache.append(word, hash: hash, to: &output) { return }
    let start = output.count
    merge(word, &workspace, into: &output)
    workspace.cache.insert(word, hash: hash, ids: output[start...])
  }

  private func merge(_ word: UnsafeBufferPointer<UInt8>, _ workspace: inout Workspace, into output: inout [Int]) {
    if ignoresMerges, let id = wholeWords.map({ $0.value(of: word) }) ?? vocabulary.id(of: word) {
      output.append(id)
      return
    }
    workspace.symbols.removeAll(keepingCapacity: true)
    if byteSymbols.isEmpty {
      appendCharacters(of: word, to: &workspace.symbols)
    } else {
      for byte in word { workspace.symbols.append(byteSymbols[Int(byte)]) }
    }
    guard workspace.symbols.count > 1 else {
      output.append(contentsOf: workspace.symbols.lazy.map { Int($0) })
      return
    }
    if workspace.symbols.count <= 64 {
      mergeByScanning(&workspace)
    } else {
      mergeByQueue(&workspace)
    }
    for symbol in workspace.symbols { output.append(Int(symbol)) }
  }

  /// One symbol a character; a character outside the vocabulary gives its bytes' tokens, or the unknown token.
  ///
  /// The order follows the reference: fallback bytes do not end a run of unknown characters, they come before its
  /// token.
  private func appendCharacters(of word: UnsafeBufferPointer<UInt8>, to symbols: inout [UInt32]) {
    var position = 0
    var pendingUnknown: UInt32?
    while position < word.count {
      let length = UTF8Text.scalar(in: word, at: position).length
      let character = UnsafeBufferPointer(rebasing: word[position..<position + length])
      position += length
      if let id = vocabulary.id(of: character) {
        if let unknown = pendingUnknown { symbols.append(unknown) }
        pendingUnknown = nil
        symbols.append(UInt32(id))
      } else if !byteFallback.isEmpty, character.allSatisfy({ byteFallback[Int($0)] != nil }) {
        for byte in character { symbols.append(UInt32(byteFallback[Int(byte)] ?? 0)) }
      } else if let unknownID {
        if let unknown = pendingUnknown, !fusesUnknown { symbols.append(unknown) }
        pendingUnknown = UInt32(unknownID)
      }
    }
    if let pendingUnknown { symbols.append(pendingUnknown) }
  }

  /// For short words: look for the best pair again after each merge.
  private func mergeByScanning(_ workspace: inout Workspace) {
    var count = workspace.symbols.count
    workspace.pairs.removeAll(keepingCapacity: true)
    for index in 0..<count - 1 {
      workspace.pairs.append(merges.merge(workspace.symbols[index], workspace.symbols[index + 1]))
    }
    workspace.symbols.withUnsafeMutableBufferPointer { symbols in
      workspace.pairs.withUnsafeMutableBufferPointer { pairs in
        while count > 1 {
          var best = MergeTable.none
          var at = 0
          for index in 0..<count - 1 where pairs[index] >> 32 < best >> 32 {
            best = pairs[index]
            at = index
          }
          guard best != MergeTable.none else { break }
          symbols[at] = UInt32(truncatingIfNeeded: best)
          count -= 1
          for index in at + 1..<max(count, at + 1) { symbols[index] = symbols[index + 1] }
          for index in at..<max(count - 1, at) { pairs[index] = pairs[index + 1] }
          if at > 0 { pairs[at - 1] = merges.merge(symbols[at - 1], symbols[at]) }
          if at + 1 < count { pairs[at] = merges.merge(symbols[at], symbols[at + 1]) }
        }
      }
    }
    workspace.symbols.removeLast(workspace.symbols.count - count)
  }

  /// For long words: a linked list and a queue of pairs by rank, then position. Entries go stale when a neighbour
  /// merges, and are dropped when they come up.
  private func mergeByQueue(_ workspace: inout Workspace) {
    let count = workspace.symbols.count
    workspace.previous = (0..<count).map { Int32($0 - 1) }
    workspace.next = (0..<count).map { $0 + 1 < count ? Int32($0 + 1) : -1 }
    workspace.pairs = (0..<count).map {
      $0 + 1 < count ? merges.merge(workspace.symbols[$0], workspace.symbols[$0 + 1]) : MergeTable.none
    }
    var queue = Heap<UInt64>(
      workspace.pairs.enumerated().compactMap { $1 == MergeTable.none ? nil : Self.entry($1, $0) })
    while let entry = queue.popMin() {
      let at = Int(entry & 0xFFFF_FFFF)
      let pair = workspace.pairs[at]
      guard pair != MergeTable.none, pair >> 32 == entry >> 32 else { continue }
      let removed = Int(workspace.next[at])
      let after = workspace.next[removed]
      workspace.symbols[at] = UInt32(truncatingIfNeeded: pair)
      workspace.next[at] = after
      workspace.pairs[removed] = MergeTable.none
      workspace.next[removed] = -2
      if after >= 0 { workspace.previous[Int(after)] = Int32(at) }
      for left in [Int(workspace.previous[at]), at] where left >= 0 {
        let right = Int(workspace.next[left])
        let merge = right < 0 ? MergeTable.none : merges.merge(workspace.symbols[left], workspace.symbols[right])
        workspace.pairs[left] = merge
        if merge != MergeTable.none { queue.insert(Self.entry(merge, left)) }
      }
    }
    var kept = 0
    for index in 0..<count where workspace.next[index] != -2 {
      workspace.symbols[kept] = workspace.symbols[index]
      kept += 1
    }
    workspace.symbols.removeLast(count - kept)
  }

  private static func entry(_ merge: UInt64, _ position: Int) -> UInt64 {
    merge & 0xFFFF_FFFF_0000_0000 | UInt64(position)
  }
}
