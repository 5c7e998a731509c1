import Checkpoints
import Foundation
import Testing

/// Damaged files, made by hand, and the one error each must give.
@Suite struct MalformedSafetensorsTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let bytes: Data
    let error: @Sendable (String) -> CheckpointError

    init(_ name: String, _ bytes: Data, _ error: @escaping @Sendable (String) -> CheckpointError) {
      testDescription = name
      self.bytes = bytes
      self.error = error
    }

    init(_ name: String, header: String, data: Int = 0, _ defect: HeaderDefect) {
      self.init(name, safetensorsBytes(header, dataByteCount: data)) { .malformedHeader(path: $0, defect) }
    }

    init(_ name: String, json: String, at offset: Int, _ reason: String) {
      self.init(name, safetensorsBytes(json)) { .malformedJSON(path: $0, offset: 8 + offset, reason: reason) }
    }
  }

  static let lengths = [
    Case("no bytes", Data()) { .tooShort(path: $0, byteCount: 0) },
    Case("seven bytes", Data(count: 7)) { .tooShort(path: $0, byteCount: 7) },
    Case("length zero", safetensorsBytes([], length: 0)) {
      .headerTooLong(path: $0, byteCount: 0, limit: 100_000_000)
    },
    Case("length beyond the limit", safetensorsBytes([], length: 100_000_001)) {
      .headerTooLong(path: $0, byteCount: 100_000_001, limit: 100_000_000)
    },
    Case("length of all ones", safetensorsBytes([], length: .max)) {
      .headerTooLong(path: $0, byteCount: .max, limit: 100_000_000)
    },
    Case("length beyond the file", safetensorsBytes("{}".utf8.map { $0 }, length: 100)) {
      .truncated(path: $0, missingByteCount: 98)
    },
    Case("Git LFS pointer", Data("version https://git-lfs.github.com/spec/v1\noid sha256:00".utf8)) {
      .gitLFSPointer(path: $0)
    },
    Case("bytes after the last tensor", safetensorsBytes(one(), dataByteCount: 9)) {
      .trailingBytes(path: $0, byteCount: 1)
    },
    Case("bytes without a tensor", safetensorsBytes("{}", dataByteCount: 1)) { .trailingBytes(path: $0, byteCount: 1) },
  ]

  static let json = [
    Case("not an object", header: "[]", .notAnObject),
    Case("leading space", header: " {}", .notAnObject),
    Case("unclosed", json: "{ ", at: 2, "expected '\"'"),
    Case("text after the object", json: "{} x", at: 3, "unexpected text after the value"),
    Case("trailing comma", json: #"{"__metadata__":{},}"#, at: 19, "expected '\"'"),
    Case("duplicate tensor", json: #"{"a":1,"a":2}"#, at: 7, #"duplicate key "a""#),
    Case("duplicate by escape", json: #"{"a":1,"\u0061":2}"#, at: 7, #"duplicate key "a""#),
    Case(
      "deep nesting", json: #"{"a":"# + String(repeating: "[", count: 100_000), at: 69, "nested deeper than 64 levels"),
    Case("leading zero", json: #"{"a":01}"#, at: 7, "number with a leading zero"),
    Case("infinite number", json: #"{"a":1e999}"#, at: 5, "number out of range"),
    Case("NaN", json: #"{"a":NaN}"#, at: 5, "not a JSON value"),
    Case("unpaired surrogate", json: #"{"\ud800":1}"#, at: 8, #"expected '\'"#),
    Case("control character", json: "{\"a\u{1}\":1}", at: 3, "control character in a string"),
    Case("nul padding", json: "{}\0\0", at: 2, "unexpected text after the value"),
    Case("invalid UTF-8", safetensorsBytes([0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D])) {
      .malformedJSON(path: $0, offset: 10, reason: "invalid UTF-8")
    },
    Case("overlong UTF-8", safetensorsBytes([0x7B, 0x22, 0xC0, 0x80, 0x22, 0x3A, 0x31, 0x7D])) {
      .malformedJSON(path: $0, offset: 10, reason: "invalid UTF-8")
    },
  ]

  static func one(
    dtype: String = "\"F32\"", shape: String = "[2]", offsets: String = "[0,8]", extra: String = ""
  ) -> String {
    #"{"x":{"dtype":\#(dtype),"shape":\#(shape),"data_offsets":\#(offsets)\#(extra)}}"#
  }

  static func bad(_ field: String) -> HeaderDefect { .badField(tensor: "x", field: field) }

  static let fields = [
    Case("entry is a number", header: #"{"x":1}"#, .entryIsNotAnObject(tensor: "x")),
    Case("metadata is a list", header: #"{"__metadata__":[]}"#, .entryIsNotAnObject(tensor: "__metadata__")),
    Case("metadata of numbers", header: #"{"__metadata__":{"k":1}}"#, .metadataIsNotText(key: "k")),
    Case("no dtype", header: #"{"x":{"shape":[],"data_offsets":[0,4]}}"#, data: 4, bad("dtype")),
    Case("no shape", header: #"{"x":{"dtype":"F32","data_offsets":[0,4]}}"#, data: 4, bad("shape")),
    Case("no offsets", header: #"{"x":{"dtype":"F32","shape":[]}}"#, data: 4, bad("data_offsets")),
    Case("dtype is a number", header: one(dtype: "1"), data: 8, bad("dtype")),
    Case("negative size", header: one(shape: "[-2]"), data: 8, bad("shape")),
    Case("fractional size", header: one(shape: "[2.0]"), data: 8, bad("shape")),
    Case("size beyond Int", header: one(shape: "[9223372036854775808]"), data: 8, bad("shape")),
    Case("one offset", header: one(offsets: "[8]"), data: 8, bad("data_offsets")),
    Case("three offsets", header: one(offsets: "[0,8,8]"), data: 8, bad("data_offsets")),
    Case("negative offset", header: one(offsets: "[-8,0]"), data: 8, bad("data_offsets")),
    Case(
      "unknown field", header: one(extra: ",\"strides\":[1]"), data: 8, .unknownField(tensor: "x", field: "strides")),
    Case("end before start", header: one(offsets: "[8,0]"), data: 8, .badOffsets(tensor: "x", start: 8, end: 0)),
    Case("size mismatch", header: one(offsets: "[0,4]"), data: 4, .sizeMismatch(tensor: "x", expected: 8, found: 4)),
    Case(
      "shape product overflows", header: one(shape: "[4294967296,4294967296]"), data: 8,
      .shapeOverflow(tensor: "x", shape: [4_294_967_296, 4_294_967_296])),
    Case(
      "byte count overflows", header: one(shape: "[4611686018427387904]"), data: 8,
      .shapeOverflow(tensor: "x", shape: [4_611_686_018_427_387_904])),
    Case("float8", safetensorsBytes(one(dtype: "\"F8_E4M3\"", shape: "[8]"), dataByteCount: 8)) {
      .unsupportedDType(path: $0, tensor: "x", dtype: "F8_E4M3")
    },
    Case("offsets near Int.max", safetensorsBytes(one(offsets: "[9223372036854775799,9223372036854775807]"))) {
      .malformedHeader(path: $0, .hole(before: "x", byteCount: 9_223_372_036_854_775_799))
    },
  ]

  static func two(_ first: String, _ second: String) -> String {
    #"{"a":{"dtype":"U8","shape":[4],"data_offsets":\#(first)},"b":{"dtype":"U8","shape":[4],"data_offsets":\#(second)}}"#
  }

  static let tiling = [
    Case("overlap", header: two("[0,4]", "[3,7]"), data: 7, .overlap(tensor: "b", with: "a")),
    Case("same place", header: two("[0,4]", "[0,4]"), data: 4, .overlap(tensor: "b", with: "a")),
    Case("hole", header: two("[0,4]", "[6,10]"), data: 10, .hole(before: "b", byteCount: 2)),
    Case("hole at the start", header: two("[2,6]", "[6,10]"), data: 10, .hole(before: "a", byteCount: 2)),
  ]

  @Test(arguments: [lengths, json, fields, tiling].joined().map { $0 })
  func givesOneTypedError(_ damaged: Case) throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/damaged.safetensors"
      try damaged.bytes.write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: damaged.error(path)) { try SafetensorsFile(path: path) }
      let text = error.map { "\($0)" } ?? ""
      #expect(text.hasPrefix(path + ": ") && !text.contains("\n"))
    }
  }

  @Test func everyTruncationNamesTheMissingBytes() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: goldenPath("dtypes.safetensors")))
    let headerEnd = 8 + Int(whole.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    try withTemporaryDirectory { directory in
      let path = directory + "/cut.safetensors"
      for length in 0..<whole.count {
        try whole.prefix(length).write(to: URL(fileURLWithPath: path))
        let end = length < headerEnd ? headerEnd : whole.count
        let expected: CheckpointError =
          length < 8
          ? .tooShort(path: path, byteCount: length) : .truncated(path: path, missingByteCount: end - length)
        #expect(throws: expected) { try SafetensorsFile(path: path) }
      }
    }
  }

  @Test func anyChangedHeaderByteIsReadOrRefusedButNeverCrashes() throws {
    let whole = try Data(contentsOf: URL(fileURLWithPath: goldenPath("dtypes.safetensors")))
    let headerEnd = 8 + Int(whole.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    try withTemporaryDirectory { directory in
      let path = directory + "/changed.safetensors"
      for index in 0..<headerEnd {
        for flip in [UInt8(0x01), 0x80] {
          var changed = whole
          changed[index] ^= flip
          try changed.write(to: URL(fileURLWithPath: path))
          do {
            let file = try SafetensorsFile(path: path)
            for tensor in file.tensors { #expect(try file.withBytes(of: tensor.name) { $0.count } == tensor.byteCount) }
          } catch is CheckpointError {}
        }
      }
    }
  }

  @Test func acceptsWhatTheFormatAllows() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.safetensors"
      for header in ["{}", "{}      ", #"{ "__metadata__" : {} }"#, #"{"__metadata__":null}"#] {
        try safetensorsBytes(header).write(to: URL(fileURLWithPath: path))
        #expect(try SafetensorsFile(path: path).tensors.isEmpty)
      }
      // Entries in any order; empty tensors at a seam.
      let header = #"""
        {"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},"e":{"dtype":"F64","shape":[0,5],"data_offsets":[4,4]},
        "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}
        """#
      try safetensorsBytes(header, dataByteCount: 8).write(to: URL(fileURLWithPath: path))
      #expect(try SafetensorsFile(path: path).tensors.map(\.name) == ["a", "e", "b"])
    }
  }
}
