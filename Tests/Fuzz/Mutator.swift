import Primitives

/// Makes one input out of seeds. Everything it draws comes from a stream of its own, named by seed, reader and number.
struct Mutator {
  static let largestPart = 1 << 18
  var random: RandomStream
  let dictionary: [[UInt8]]

  init(seed: UInt64, reader: String, index: Int, dictionary: [String]) {
    random = RandomStream(seed: seed, purpose: "fuzz \(reader)", index: UInt64(index))
    self.dictionary = dictionary.map { Array($0.utf8) }
  }

  mutating func input(from seeds: FuzzReader.Seeds) -> FuzzInput {
    let kind = seeds.hostile.isEmpty || random.below(6) != 0 ? seeds.valid : seeds.hostile
    var input = kind[random.below(kind.count)]
    repeat {
      let index = random.below(input.parts.count)
      mutate(&input.parts[index], like: kind)
    } while random.below(5) < 3
    return input
  }

  private mutating func mutate(_ part: inout FuzzInput.Part, like seeds: [FuzzInput]) {
    switch part.kind {
    case .bytes:
      if !part.fields.isEmpty, chance(2) { return setField(&part) }
    case .json:
      if chance(2), mutateJSON(&part.bytes) { return }
    case .jsonLines:
      if chance(2), mutateLine(&part.bytes) { return }
    case .text:
      if chance(4) { return mutateLines(&part.bytes) }
    }
    mutateBytes(&part.bytes, like: seeds, named: part.name)
    if part.bytes.count > Self.largestPart { part.bytes.removeLast(part.bytes.count - Self.largestPart) }
  }

  mutating func chance(_ outOf: Int) -> Bool { random.below(outOf) == 0 }

  mutating func element<Element>(of elements: [Element]) -> Element { elements[random.below(elements.count)] }

  // MARK: - Bytes

  private mutating func mutateBytes(_ bytes: inout [UInt8], like seeds: [FuzzInput], named name: String) {
    guard !bytes.isEmpty else {
      bytes = dictionary.isEmpty ? [UInt8(random.below(256))] : element(of: dictionary)
      return
    }
    let place = random.below(bytes.count)
    switch random.below(11) {
    case 0: bytes[place] ^= 1 << UInt8(random.below(8))
    case 1: bytes[place] = UInt8(random.below(256))
    case 2: bytes.removeLast(bytes.count - place)
    case 3: bytes.insert(contentsOf: (0..<(1 + random.below(8))).map { _ in UInt8(random.below(256)) }, at: place)
    case 4:
      let block = block(of: bytes)
      bytes.insert(contentsOf: bytes[block], at: place)
    case 5: bytes.removeSubrange(block(of: bytes))
    case 6:
      let block = bytes[block(of: bytes)]
      let end = min(bytes.count, place + block.count)
      bytes.replaceSubrange(place..<end, with: block.prefix(end - place))
    case 7: splice(&bytes, at: place, with: seeds, named: name)
    case 8: repeatBlock(&bytes, at: place)
    case 9 where !dictionary.isEmpty:
      let word = element(of: dictionary)
      if chance(2) {
        bytes.insert(contentsOf: word, at: place)
      } else {
        bytes.replaceSubrange(place..<min(bytes.count, place + word.count), with: word)
      }
    default: setInteger(&bytes, at: place)
    }
  }

  private mutating func block(of bytes: [UInt8]) -> Range<Int> {
    let start = random.below(bytes.count)
    let longest = chance(4) ? bytes.count - start : min(bytes.count - start, 32)
    return start..<(start + 1 + random.below(longest))
  }

  private mutating func splice(_ bytes: inout [UInt8], at place: Int, with seeds: [FuzzInput], named name: String) {
    let others = seeds.flatMap(\.parts).filter { $0.name == name && !$0.bytes.isEmpty }
    guard !others.isEmpty else { return }
    let other = element(of: others).bytes
    bytes = Array(bytes[..<place]) + other[random.below(other.count)...]
  }

  /// The same few bytes many times: deep nesting and long runs.
  private mutating func repeatBlock(_ bytes: inout [UInt8], at place: Int) {
    let source = min(bytes.count - place, 1 + random.below(4))
    let times = chance(20) ? 1 + random.below(20_000) : 1 + random.below(200)
    let unit = bytes[place..<(place + source)]
    bytes.insert(contentsOf: (0..<times).flatMap { _ in unit }, at: place)
  }

  static let integers: [UInt64] = [
    0, 1, 2, 3, 7, 8, 16, 31, 32, 63, 64, 127, 128, 255, 256, 1000, 4095, 4096, 32_767, 32_768, 65_535, 65_536,
    1 << 20, 1 << 24, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 40, 1 << 48, 1 << 60,
    0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_FFFF_FFFF,
  ]

  private mutating func setInteger(_ bytes: inout [UInt8], at place: Int) {
    let width = element(of: [1, 2, 4, 8])
    write(integer(near: bytes, place, width), to: &bytes, place..<min(bytes.count, place + width))
  }

  /// A number from the list, a little beside one, or a little beside what stands there.
  private mutating func integer(near bytes: [UInt8], _ place: Int, _ width: Int) -> UInt64 {
    if chance(3) {
      let stored = bytes[place..<min(bytes.count, place + width)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return stored &+ UInt64(random.below(33)) &- 16
    }
    return element(of: Self.integers) &+ (chance(3) ? UInt64(random.below(9)) &- 4 : 0)
  }

  private func write(_ value: UInt64, to bytes: inout [UInt8], _ range: Range<Int>) {
    for (position, index) in range.enumerated() {
      bytes[index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(position)))
    }
  }

  private mutating func setField(_ part: inout FuzzInput.Part) {
    let field = element(of: part.fields).clamped(to: 0..<part.bytes.count)
    guard !field.isEmpty else { return }
    write(integer(near: part.bytes, field.lowerBound, field.count), to: &part.bytes, field)
  }
}
