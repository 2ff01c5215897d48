// libmilter's constants by their C names, from the header this was compiled against.
// scripts/generate-constants.js writes lib/addon/constants.ts from them, and scripts/check-mfapi.js reports
// the ones that are missing here.
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#include "libmilter/runtime.h"

namespace milter {

std::vector<Constant> Runtime::constants() const {
  return {
      {"SMFIS_CONTINUE", SMFIS_CONTINUE},
      {"SMFIS_REJECT", SMFIS_REJECT},
      {"SMFIS_DISCARD", SMFIS_DISCARD},
      {"SMFIS_ACCEPT", SMFIS_ACCEPT},
      {"SMFIS_TEMPFAIL", SMFIS_TEMPFAIL},
      {"SMFIS_NOREPLY", SMFIS_NOREPLY},
      {"SMFIS_SKIP", SMFIS_SKIP},
      {"SMFIS_ALL_OPTS", SMFIS_ALL_OPTS},
      {"SMFIF_NONE", SMFIF_NONE},
      {"SMFIF_ADDHDRS", SMFIF_ADDHDRS},
      {"SMFIF_CHGBODY", SMFIF_CHGBODY},
      {"SMFIF_MODBODY", SMFIF_MODBODY},
      {"SMFIF_ADDRCPT", SMFIF_ADDRCPT},
      {"SMFIF_DELRCPT", SMFIF_DELRCPT},
      {"SMFIF_CHGHDRS", SMFIF_CHGHDRS},
      {"SMFIF_QUARANTINE", SMFIF_QUARANTINE},
      {"SMFIF_CHGFROM", SMFIF_CHGFROM},
      {"SMFIF_ADDRCPT_PAR", SMFIF_ADDRCPT_PAR},
      {"SMFIF_SETSYMLIST", SMFIF_SETSYMLIST},
      {"SMFI_V1_ACTS", SMFI_V1_ACTS},
      {"SMFI_V2_ACTS", SMFI_V2_ACTS},
      {"SMFI_CURR_ACTS", SMFI_CURR_ACTS},
      {"SMFIM_CONNECT", SMFIM_CONNECT},
      {"SMFIM_HELO", SMFIM_HELO},
      {"SMFIM_ENVFROM", SMFIM_ENVFROM},
      {"SMFIM_ENVRCPT", SMFIM_ENVRCPT},
      {"SMFIM_DATA", SMFIM_DATA},
      {"SMFIM_EOM", SMFIM_EOM},
      {"SMFIM_EOH", SMFIM_EOH},
      {"SMFIP_NOCONNECT", SMFIP_NOCONNECT},
      {"SMFIP_NOHELO", SMFIP_NOHELO},
      {"SMFIP_NOMAIL", SMFIP_NOMAIL},
      {"SMFIP_NORCPT", SMFIP_NORCPT},
      {"SMFIP_NOBODY", SMFIP_NOBODY},
      {"SMFIP_NOHDRS", SMFIP_NOHDRS},
      {"SMFIP_NOEOH", SMFIP_NOEOH},
      {"SMFIP_NR_HDR", SMFIP_NR_HDR},
      {"SMFIP_NOHREPL", SMFIP_NOHREPL},
      {"SMFIP_NOUNKNOWN", SMFIP_NOUNKNOWN},
      {"SMFIP_NODATA", SMFIP_NODATA},
      {"SMFIP_SKIP", SMFIP_SKIP},
      {"SMFIP_RCPT_REJ", SMFIP_RCPT_REJ},
      {"SMFIP_NR_CONN", SMFIP_NR_CONN},
      {"SMFIP_NR_HELO", SMFIP_NR_HELO},
      {"SMFIP_NR_MAIL", SMFIP_NR_MAIL},
      {"SMFIP_NR_RCPT", SMFIP_NR_RCPT},
      {"SMFIP_NR_DATA", SMFIP_NR_DATA},
      {"SMFIP_NR_UNKN", SMFIP_NR_UNKN},
      {"SMFIP_NR_EOH", SMFIP_NR_EOH},
      {"SMFIP_NR_BODY", SMFIP_NR_BODY},
      {"SMFIP_HDR_LEADSPC", SMFIP_HDR_LEADSPC},
      {"SMFIP_MDS_256K", SMFIP_MDS_256K},
      {"SMFIP_MDS_1M", SMFIP_MDS_1M},
  };
}

}  // namespace milter
