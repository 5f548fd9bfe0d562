// What signature.cc and sign.cc need of libcrypto's memory files and errors.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>

#include <memory>
#include <new>
#include <string>

namespace ksplice {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

inline Bio owned(BIO* bio) {
  if (bio == nullptr) throw std::bad_alloc();
  return {bio, BIO_free_all};
}

inline Bio new_bio() { return owned(BIO_new(BIO_s_mem())); }

// text must live as long as it is read.
inline Bio read_bio(const std::string& text) {
  return owned(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

inline std::string bio_text(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : "";
}

// What libcrypto last complained about; its list is empty then.
inline std::string take_openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  const std::string text = reason != nullptr ? reason : "no reason given";
  ERR_clear_error();
  return text;
}

}  // namespace ksplice
