import { Shell, startPage } from '../core/shell';
import { t } from '../core/i18n';

function Page() {
  return <Shell page="desk" title={t('core.page.desk')}>{null}</Shell>;
}

void startPage(Page);
