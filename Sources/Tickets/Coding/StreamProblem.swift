/// Why a coded stream cannot be read.
package enum StreamProblem: Error, Equatable {
  case tooShort
  case unknownCoding(UInt8)
  case badTable
  /// What was read does not end where the stream does.
  case inconsistent
  case symbolOutOfRange
}
